"""`make bench`: what the policy pack adds to a preview of the whole stack, at 2 and at 200 nodes, on the real engine.

Beside it stands a pack of one rule that does nothing, as pulumi-policy makes it: what the engine and Python's gRPC cost
any pack. The target is 0.15 s over that one. The previews are taken in turn. Of times the median counts, and of what is
over that rule the median of the rounds' own differences: bests of five differed by 0.3 s from run to run on one quiet
computer.
"""

from __future__ import annotations

import statistics

from tests.bench.spine import seconds
from tests.support.checkout import Checkout

ROUNDS = 9
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
        times = preview_s(count)
        added = {pack: _median(times[pack], times["none"]) for pack in ("nothing", "ours")}
        over_s = _median(times["ours"], times["nothing"])
        figures = (statistics.median(times["none"]), *added.values(), over_s)
        print(f"| {count} nodes | {' | '.join(f'{figure:.2f} s' for figure in figures)} |", flush=True)


def _median(times: list[float], base: list[float]) -> float:
    """Of the rounds' differences."""
    return statistics.median(mine - its for mine, its in zip(times, base, strict=True))


def preview_s(count: int) -> dict[str, list[float]]:
    """Pack → seconds of each of ROUNDS."""
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
        times: dict[str, list[float]] = {pack: [] for pack in PACKS}
        for _ in range(ROUNDS):
            for pack, extra in PACKS.items():
                times[pack].append(seconds(lambda extra=extra: checkout.pulumi("preview", "-s", "local", *extra)))  # type: ignore[misc]
        return times
    finally:
        checkout.discard()


def nodes(count: int) -> dict[str, object]:
    """So many local nodes, each in a bay of its own."""
    rung = {"cloud": "local", "sku": "sim-8x-a100", "standsFor": "quoted/lambda-8x-a100-80gb"}
    return {f"n{n}": {"candidates": [{**rung, "region": f"bay-{n}"}]} for n in range(count)}


if __name__ == "__main__":
    main()
