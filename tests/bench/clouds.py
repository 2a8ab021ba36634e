"""`make bench`: how long it takes to rent many machines at once, and to preview them, on the real engine.

`python -m tests.bench.clouds lambda:2 runpod:32` measures these alone, `preview` the previews. The emulators refuse
what comes faster than the vendor allows (Lambda: one request a second, one launch in twelve; RunPod: 60 requests in any
minute), boot in 20 real seconds, and the clients pace themselves as they do in service. The bound of an `up` is
1.3 × (boot + what the rate limit forces) + what the engine takes for as many resources that do nothing, measured just
before.
"""

from __future__ import annotations

import math
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.spine import seconds
from tests.clouds.server import Emulator
from tests.clouds.vendors import VENDORS, url_variable
from tests.engine.conftest import REPOSITORY, Project

BOOT_S = 20.0
MEASURED = {name: vendor.limits for name, vendor in VENDORS.items() if vendor.limits is not None}
CASES = (*(f"{name}:{count}" for name in MEASURED for count in (2, 8, 32)), "preview")
PLUGIN = REPOSITORY / "tests" / "engine" / "paper_plugin"
NODES = """
    from providers.resources import Node

    for number in range({count}):
        Node(
            f"n{{number}}", key=f"n{{number}}", role="inference", max_per_failure_domain={count},
            candidates=[{{"cloud": "{cloud}", "region": "{region}", "sku": "{sku}", "maxUsdPerHour": 30}}],
            ports={{"ssh": 22, "vllm": 8000}}, ssh_public_key="ssh-ed25519 AAAA", ssh_private_key="the stack's",
            stack_id="1a2b",
            settings={{"{cloud}": {settings}}},
        )
"""
NOTHINGS = """
    import pulumi

    for number in range({count}):
        pulumi.CustomResource("gpucloud:index:Nothing", f"n{{number}}", {{}})
"""


def main(cases: tuple[str, ...]) -> None:
    """Prints rows for the table of docs/performance.md."""
    rows = [row for case in cases for row in (previews() if case == "preview" else [up(case)])]
    print("\n| What | Measured |\n|---|---|")
    for what, measured in rows:
        print(f"| {what} | {measured} |")


def up(case: str) -> tuple[str, str]:
    """One `up` of `case`, "cloud:number of nodes"."""
    cloud, _, number = case.partition(":")
    count = int(number)
    with project(cloud) as (stack, emulator):
        emulator.boot_s = BOOT_S
        stack.program(NOTHINGS.format(count=count))
        engine_s = seconds(stack.up)
        stack.run("destroy", "--yes", "--skip-preview")
        stack.program(nodes(cloud, count))
        took_s = seconds(lambda: stack.run("up", "--yes", "--skip-preview", timeout_s=1200))
        assert len(emulator.machines) == count
    forced_s = MEASURED[cloud].forced_s(count)
    bound_s = 1.3 * (BOOT_S + forced_s) + engine_s
    what = f"`up` of {count} nodes at an emulated {cloud}, 20 s boots, {forced_s:.0f} s forced by its rate limit"
    print(f"{case}: {took_s:.1f} s, engine alone {engine_s:.1f} s, {len(emulator.seen)} requests", flush=True)
    return what, f"{took_s:.1f} s ({took_s / bound_s:.2f} of the bound {bound_s:.1f} s)"


def previews() -> list[tuple[str, str]]:
    """Of nodes, and of as many resources that do nothing: the best of five each, taken in turn."""
    best: dict[tuple[str, int], float] = {}
    with project("lambda") as (stack, _):
        programs = {("node", n): nodes("lambda", n) for n in (2, 200)}
        programs |= {("nothing", n): NOTHINGS.format(count=n) for n in (2, 200)}
        for _ in range(5):
            for which, program in programs.items():
                stack.program(program)
                best[which] = min(best.get(which, math.inf), seconds(lambda: stack.run("preview")))
    few, many, idle = best["node", 2], best["node", 200], best["nothing", 200]
    return [
        ("preview of 2 nodes", f"{few:.2f} s"),
        ("preview of 200 nodes", f"{many:.2f} s ({many / few:.2f}×)"),
        ("preview of 200 resources that do nothing", f"{idle:.2f} s ({idle / best['nothing', 2]:.2f}× that of 2)"),
    ]


def nodes(cloud: str, count: int) -> str:
    """A program of so many nodes, and of nothing else, in one region."""
    vendor = VENDORS[cloud]
    return NODES.format(cloud=cloud, region=vendor.regions[0], sku=vendor.sku, settings=vendor.settings, count=count)


@contextmanager
def project(cloud: str) -> Iterator[tuple[Project, Emulator]]:
    """A stack, run as scripts/pulumi runs ours, and the cloud it is at."""
    emulator = MEASURED[cloud].emulator()
    folder = Path(tempfile.mkdtemp(prefix="xo-"))
    parallel = re.search(r"PULUMI_PARALLEL:-(\d+)", (REPOSITORY / "scripts" / "pulumi").read_text())
    assert parallel
    try:
        with emulator.serving() as url:
            env = {url_variable(cloud): url, VENDORS[cloud].key: emulator.key}
            stack = Project(folder, PLUGIN, {**env, "PACES": "real", "PULUMI_PARALLEL": parallel[1]})
            stack.prepare()
            yield stack, emulator
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(tuple(sys.argv[1:]) or CASES)
