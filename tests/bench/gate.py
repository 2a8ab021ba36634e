"""`make bench`: what the policy pack adds to a preview of the whole stack, at 2 and at 200 nodes, on the real engine.

The target is half a second. The two previews are taken in turn and the best of each counts, so that a computer that is
busy for a moment is not taken for a slow pack.
"""

from __future__ import annotations

import math

from tests.bench.spine import seconds
from tests.support.checkout import Checkout

ROUNDS = 4
PACK = ("--policy-pack", "policies")


def main() -> None:
    """Prints rows for the table of docs/performance.md."""
    print("\n| Preview of | Without the pack | With it | The pack adds |\n|---|---|---|---|")
    for count in (2, 200):
        plain_s, gated_s = preview_s(count)
        print(f"| {count} nodes | {plain_s:.2f} s | {gated_s:.2f} s | {gated_s - plain_s:.2f} s |", flush=True)


def preview_s(count: int) -> tuple[float, float]:
    """Without and with the pack: the best of ROUNDS each."""
    checkout = Checkout.make()
    try:
        checkout.init()
        checkout.configure({"fleet.nodes": nodes(count), "workload.tokensPerMonth": 3e9 * count})
        best = {(): math.inf, PACK: math.inf}
        for _ in range(ROUNDS):
            for extra in best:
                took_s = seconds(lambda extra=extra: checkout.pulumi("preview", "-s", "local", *extra))  # type: ignore[misc]
                best[extra] = min(best[extra], took_s)
        return best[()], best[PACK]
    finally:
        checkout.discard()


def nodes(count: int) -> dict[str, object]:
    """So many local nodes, each in a bay of its own."""
    rung = {"cloud": "local", "sku": "sim-8x-a100", "standsFor": "quoted/lambda-8x-a100-80gb"}
    return {f"n{n}": {"candidates": [{**rung, "region": f"bay-{n}"}]} for n in range(count)}


if __name__ == "__main__":
    main()
