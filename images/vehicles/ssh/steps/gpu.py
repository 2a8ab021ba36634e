"""The machine's GPUs and their driver come to what the bundle asks, or the install ends with the reason."""

from __future__ import annotations

from images.bundle import GpuDemand
from images.gpu.acting import describe, forget_reboot, found, look, perform
from images.gpu.actions import Action, Deed, GpuPlan, Refusal
from images.gpu.facts import GpuFacts
from images.gpu.matrix import shipped
from images.gpu.plan import plan
from images.remote.errors import CommandFailed, UnsuitableMachine
from images.vehicles.ssh.steps.installation import Installation, Reconnect

MOST_ROUNDS = 8
"""From an empty machine it is four: repository, driver, holds and modules, services."""
REBOOT_S = 900
"""A bare-metal machine with eight GPUs tests its memory for minutes."""


def bring_gpus(under_way: Installation) -> Reconnect | None:
    """Looks, says the plan, does it, and looks again until nothing is left to do. Nothing happens, and nobody is asked,
    for a bundle without a demand. Raises UnsuitableMachine, CommandFailed, and what apt says."""
    demand = under_way.layout.bundle.gpu
    if demand is None:
        return None
    last: tuple[Action, ...] = ()
    for _ in range(MOST_ROUNDS):
        facts, todo = _plan(under_way, demand)
        if not todo.actions:
            under_way.gpus = facts
            under_way.found |= found(facts)
            if facts.rebooted[0]:
                forget_reboot(under_way.connection, under_way.watch)
            return None
        if todo.actions == last:
            raise CommandFailed(_stuck(under_way, facts, last))
        if not last:
            under_way.say(f"GPUs: {describe(facts)}. The plan:")
            for action in todo.actions:
                under_way.say(f"GPUs:   {action}")
        last = todo.actions
        for action in todo.round:
            under_way.say(f"GPUs: now to {action}")
            perform(under_way.connection, action, facts, under_way.watch, under_way.say)
            if action.kind is Deed.REBOOT:
                return Reconnect(action.why, REBOOT_S)
    raise CommandFailed(f"{under_way.layout.host.where}: its GPUs are not ready after {MOST_ROUNDS} rounds of work")


def _plan(under_way: Installation, demand: GpuDemand) -> tuple[GpuFacts, GpuPlan]:
    facts = look(under_way.connection, shipped(), under_way.watch, packages=demand.install)
    made = plan(facts, demand, shipped())
    if isinstance(made, Refusal):
        raise UnsuitableMachine(f"{under_way.layout.host.where} ({describe(facts)}) cannot serve: {made}")
    return facts, made


def _stuck(under_way: Installation, facts: GpuFacts, actions: tuple[Action, ...]) -> str:
    said = "\n".join(("", *facts.kernel_says))
    deeds = "; ".join(map(str, actions))
    return f"{under_way.layout.host.where}: its GPUs are as before, and this was done without effect: {deeds}{said}"
