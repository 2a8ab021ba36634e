"""A machine is looked at, and a plan's actions are done. The machine alone remembers how far it came."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from images.gpu.actions import GIVE_BACK, Action, Deed
from images.gpu.facts import GpuFacts, branch, parse
from images.gpu.plan import asked
from images.gpu.scripts import run_script
from images.packages import apt
from images.remote.connection import Connection
from images.remote.errors import CommandFailed, DeadlineExceeded, Unreachable, UnsuitableMachine
from images.remote.scripts import require
from images.remote.waiting import Progress, Say, Waiting

GOING_DOWN_S = 300
"""From the word to reboot until the connection ends: services have their time to stop."""
LOOK_S = 180
"""nvidia-smi has 60 s of it. One that waits in the kernel (state D) outlives the signal that should end it."""
_BEHIND_APT = "../../packages/scripts/apt"
"""images.packages' functions of apt, by the folder of our scripts: what goes to apt waits for its locks as all does."""
_PAUSE_S = 1.0


def look(connection: Connection, matrix: Mapping[str, Any], watch: Waiting, *, packages: bool) -> GpuFacts:
    """One round trip; changes nothing. Who only judges asks no `packages`, which take the better part of the time.
    Raises UnsuitableMachine where it does not end."""
    names = asked(matrix) if packages else ()
    try:
        result = run_script(connection, "look", args=names, watch=watch.within(LOOK_S), step="looking at its GPUs")
    except DeadlineExceeded:
        watch.check("looking at its GPUs")
        raise UnsuitableMachine(
            f"{connection.host.where}: nvidia-smi does not answer within {LOOK_S} s, and cannot be ended: reboot the "
            f"machine, and run again. A container, or one that does so again: {GIVE_BACK[0].lower()}{GIVE_BACK[1:]}"
        ) from None
    return parse(require(result, f"the GPUs of {connection.host.where} could not be looked at").stdout)


def found(facts: GpuFacts) -> dict[str, str]:
    """What a machine turned out to have, for people. What is not known is left out."""
    names = [gpu.name for gpu in facts.gpus]
    gpus = " + ".join(f"{names.count(name)} × {name}" for name in dict.fromkeys(names))
    driver = facts.gpus[0].driver if facts.gpus else facts.driver
    everything = {"driver": driver, "gpus": gpus, "kernel": facts.kernel, "image": facts.system[2]}
    return {name: value for name, value in everything.items() if value}


def describe(facts: GpuFacts) -> str:
    """One line: GPUs, NVSwitches, driver, system."""
    devices = f"{len(facts.devices)} × PCI 10de:{facts.devices[0]}" if facts.devices else "no GPU on its PCI bus"
    switches = f", {facts.switches} NVSwitches" if facts.switches else ""
    where = f", {facts.container} container" if facts.container else ""
    driver = f"driver {facts.driver} ({'loaded' if facts.loaded else 'not loaded'})" if facts.driver else "no driver"
    return f"{found(facts).get('gpus', devices)}{switches}, {driver}, {facts.system[2] or 'unknown system'}{where}"


def perform(connection: Connection, action: Action, facts: GpuFacts, watch: Waiting, say: Say) -> None:
    """Does one action; a reboot returns once the connection has ended. Raises what images.packages.apt, `require` and
    Connection.run raise: called again, it goes on."""
    _WAYS[action.kind](connection, action, facts, watch, say)


def forget_reboot(connection: Connection, watch: Waiting) -> None:
    """All is well: the same reason may be one for a reboot again."""
    _run(connection, "forget", (), watch, lambda _: None)


def _run(connection: Connection, name: str, args: tuple[str, ...], watch: Waiting, say: Say, *behind: str) -> None:
    step = f"preparing its GPUs ({name})"
    result = run_script(
        connection, *behind, name, args=args, watch=watch, step=step, on_line=Progress(say, prefix="GPUs: "), root=True
    )
    require(result, f"{connection.host.where}: {step} failed")


def _script(connection: Connection, action: Action, _: GpuFacts, watch: Waiting, say: Say) -> None:
    _run(connection, action.kind, action.words, watch, say)


def _with_apt(connection: Connection, action: Action, _: GpuFacts, watch: Waiting, say: Say) -> None:
    patience = f"{min(apt.LOCKS_S, watch.remaining_s):.0f}"
    _run(connection, action.kind, (patience, *action.words), watch, say, _BEHIND_APT)


def _quiet(connection: Connection, _: Action, __: GpuFacts, watch: Waiting, say: Say) -> None:
    apt.stop_upgrades(connection, watch=watch, say=say)


def _finish(connection: Connection, _: Action, __: GpuFacts, watch: Waiting, say: Say) -> None:
    apt.install(connection, (), watch=watch, say=say, services_off=False)


def _install(connection: Connection, action: Action, facts: GpuFacts, watch: Waiting, say: Say) -> None:
    """What we hold ourselves is let go for the transaction, and held again in the next round."""
    version, *packages = action.words
    names = [package.partition("=")[0] for package in packages]
    there = tuple(package.name for package in facts.packages if package.name in names)
    _run(connection, "hold", ("--not", *there), watch, say)
    if branch(version):
        _run(connection, "pin", (version,), watch, say)
    # A fabric manager may be newer than its driver, which is the one that stays.
    leave = "--allow-downgrades" if there else "--no-remove"
    apt.install(connection, packages, watch=watch, say=say, services_off=False, leave=leave)


def _reboot(connection: Connection, action: Action, _: GpuFacts, watch: Waiting, say: Say) -> None:
    """Until the connection has ended: who asks for another one earlier meets the old system."""
    going = watch.within(GOING_DOWN_S)
    try:
        _run(connection, "reboot", action.words, going, say)
        while going.remaining_s:
            connection.run("exit 0", watch=going, step="waiting until it goes down")
            time.sleep(_PAUSE_S)
    except Unreachable:
        return
    raise CommandFailed(f"{connection.host.where} did not go down within {GOING_DOWN_S} s of the word to reboot")


_Way = Callable[[Connection, Action, GpuFacts, Waiting, Say], None]
_WAYS: dict[Deed, _Way] = {
    Deed.QUIET: _quiet,
    Deed.HOLD: _script,
    Deed.FINISH: _finish,
    Deed.KEYRING: _with_apt,
    Deed.UPDATE: _with_apt,
    Deed.INSTALL: _install,
    Deed.BLACKLIST: _script,
    Deed.LOAD: _script,
    Deed.SERVICES: _script,
    Deed.REBOOT: _reboot,
}
