"""`make bench`: what the policy pack adds to a preview of the whole stack, at 2 and at 200 nodes, on the real engine.

Beside it stands a pack of one rule that does nothing, as pulumi-policy makes it: what the engine and Python's gRPC cost
any pack. The target is 0.15 s over that one. The previews are taken in turn and the best of each counts, so that a
computer that is busy for a moment is not taken for a slow pack.
"""

from __future__ import annotations

import math

from tests.bench.spine import seconds
from tests.support.checkout import Checkout

ROUNDS = 5
PACKS = {"none": (), "nothing": ("--policy-pack", "nothing"), "ours": ("--policy-pack", "policies")}
NOTHING = """\
from pulumi_policy import EnforcementLevel, PolicyPack, ResourceValidationPolicy

rule = ResourceValidationPolicy("nothing", "Does nothing.", lambda args, report: None, EnforcementLevel.MANDATORY)
PolicyPack("nothing", [rule])
"""


def main() -> None:
    """Prints rows for the table of docs/performance.md."""
    columns = ("Preview of", "Without a pack", "A rule that does nothing adds", "The pack adds", "Over it")
    print(f"\n| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    for count in (2, 200):
        best = preview_s(count)
        nothing, ours = (best[pack] - best["none"] for pack in ("nothing", "ours"))
        added = " | ".join(f"{seconds:.2f} s" for seconds in (best["none"], nothing, ours, ours - nothing))
        print(f"| {count} nodes | {added} |", flush=True)


def preview_s(count: int) -> dict[str, float]:
    """Pack → the best of ROUNDS."""
    checkout = Checkout.make()
    try:
        checkout.init()
        checkout.configure({"fleet.nodes": nodes(count), "workload.tokensPerMonth": 3e9 * count})
        nothing = checkout.folder / "nothing"
        nothing.mkdir()
        (nothing / "__main__.py").write_text(NOTHING)
        manifest = (checkout.folder / "policies/PulumiPolicy.yaml").read_text()
        (nothing / "PulumiPolicy.yaml").write_text(manifest)
        (nothing / ".venv").symlink_to("../.venv")
        best = dict.fromkeys(PACKS, math.inf)
        for _ in range(ROUNDS):
            for pack, extra in PACKS.items():
                took_s = seconds(lambda extra=extra: checkout.pulumi("preview", "-s", "local", *extra))  # type: ignore[misc]
                best[pack] = min(best[pack], took_s)
        return best
    finally:
        checkout.discard()


def nodes(count: int) -> dict[str, object]:
    """So many local nodes, each in a bay of its own."""
    rung = {"cloud": "local", "sku": "sim-8x-a100", "standsFor": "quoted/lambda-8x-a100-80gb"}
    return {f"n{n}": {"candidates": [{**rung, "region": f"bay-{n}"}]} for n in range(count)}


if __name__ == "__main__":
    main()
