"""The GPUs of a machine are fast enough together, measured once, before weights are brought and anything starts."""

from __future__ import annotations

from images.gpu.acceptance.allreduce.measuring import LIMIT_S, all_reduce, floor_of, judge_all_reduce, told
from images.remote.errors import UnsuitableMachine
from images.vehicles.ssh.keepers.keeper import COMING_UP
from images.vehicles.ssh.steps.installation import Installation

LINKS_FOUND = "all-reduce"
"""What of `found` says how fast they are."""
SLACK_S = 60.0


def measure_links(under_way: Installation) -> None:
    """Again only where GPUs, driver or engine are others; where a service of ours runs, its GPUs are taken, and only
    what was measured before is told. Nobody is asked for a bundle without a demand, or with one GPU. Raises
    UnsuitableMachine."""
    facts, bundle, host = under_way.gpus, under_way.layout.bundle, under_way.layout.host
    if facts is None or bundle.gpu is None or bundle.gpu.least_gb_per_s == 0 or len(facts.gpus) < 2:
        return
    engine = "" if bundle.runtime is None else under_way.found.get(bundle.runtime.distribution, "")
    free = not any(state in COMING_UP for state in under_way.probe.services.values())
    if not under_way.interpreter:
        under_way.say("GPUs: no all-reduce is measured: the engine's Python was not found")
        return
    if free:
        under_way.say("GPUs: measuring an all-reduce, which takes about a minute the first time")
    with under_way.watch.apart(LIMIT_S + SLACK_S) as watch:
        measured = all_reduce(
            under_way.connection, host.root, under_way.interpreter, facts, engine, watch, measure=free
        )
    floor = floor_of(facts, bundle.gpu.least_gb_per_s)
    if findings := judge_all_reduce(measured, floor, container=bool(facts.container)):
        raise UnsuitableMachine(f"{host.where} is not accepted. {'. '.join(map(str, findings))}")
    under_way.say(f"GPUs: all-reduce {told(measured, floor)}")
    if measured.gb_per_s is not None:  # why nothing was measured is another reason each time, and no property
        under_way.found[LINKS_FOUND] = told(measured, floor)
