"""`crossover orphans`: machines that a cloud bills and no state of the project knows."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

import typer

from cost_guard.catalogue.catalogue import Catalogue, load_catalogue
from providers import registry
from providers.base import Machine, MachineState
from providers.errors import CloudError, TerminateFailed
from scripts.crossover.shell.clouds import Answer, ask
from scripts.crossover.shell.output import console, emit_json, right_aligned, styled, table
from scripts.crossover.stack.state import AsJson, Known, StackError, known_machines, project, reading, stacks

STATES_AT_ONCE = 4
ENDED_AT_ONCE = 8


class Standing(StrEnum):
    """What a machine is to the states."""

    KNOWN = "known"
    ORPHAN = "orphan"
    UNKNOWN = "unknown"
    """The state that would know it cannot be consulted: it is shown and never ended."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One machine at a cloud."""

    machine: Machine
    standing: Standing
    why: str = ""
    """Why its standing is unknown, and what would tell."""

    @property
    def resource_id(self) -> str:
        """As the states write it."""
        return f"{self.machine.cloud}/{self.machine.id}"


@dataclass(frozen=True, slots=True)
class Survey:
    """All that was found, and what could not be asked."""

    findings: tuple[Finding, ...]
    trouble: tuple[str, ...]
    """Where machines may be that nobody could look for. One line each."""

    @property
    def orphans(self) -> tuple[Finding, ...]:
        """What could be ended."""
        return tuple(f for f in self.findings if f.standing is Standing.ORPHAN)


def judge(machines: Sequence[Machine], states: Mapping[str, Known | str]) -> tuple[Finding, ...]:
    """Each machine that still exists with its standing. `states`: stack → what its state knows, or why it is not
    known.

    The machines must have been listed before the states were read: a state records a creation before it begins, so
    that a machine which is just being made is never taken for an orphan.
    """
    known = {id for state in states.values() if not isinstance(state, str) for id in state.machines}
    findings = []
    for machine in machines:
        if machine.state is MachineState.TERMINATED:
            continue
        if f"{machine.cloud}/{machine.id}" in known:
            findings.append(Finding(machine, Standing.KNOWN))
        elif why := _why_unknown(machine, states):
            findings.append(Finding(machine, Standing.UNKNOWN, why))
        else:
            findings.append(Finding(machine, Standing.ORPHAN))
    return tuple(findings)


def _why_unknown(machine: Machine, states: Mapping[str, Known | str]) -> str:
    if machine.owner is None:
        return "its mark cannot be read"
    stack = machine.owner.stack
    state = states.get(stack)
    if state is None:
        return f"this backend has no stack {stack}; if there is none elsewhere either: scripts/stack-init {stack}"
    if isinstance(state, str):
        return f"the state of {stack} cannot be read: {state}"
    if state.busy:
        return f"an operation on {stack} runs, or was killed: wait for it, or run scripts/recover {stack}"
    return ""


def survey() -> Survey:
    """Asks the clouds, then the states. Raises StackError where the stacks cannot be listed."""
    ours = project()
    answers: list[Answer[Machine]] = ask(lambda cloud: getattr(cloud, "billed", cloud.list)(ours))
    states = _states()
    machines = [priced(machine, load_catalogue()) for answer in answers for machine in answer.found]
    used = {id.partition("/")[0] for state in states.values() if not isinstance(state, str) for id in state.machines}
    unread = [f"the state of {stack} cannot be read: {why}" for stack, why in states.items() if isinstance(why, str)]
    return Survey(judge(machines, states), (*_not_asked(answers, used), *unread))


def priced(machine: Machine, catalogue: Catalogue) -> Machine:
    """At the catalogue's price where the cloud tells none."""
    row = catalogue.prices.get(f"{machine.cloud}/{machine.sku}")
    if machine.usd_per_hour or row is None or row.usd_per_hour is None:
        return machine
    return replace(machine, usd_per_hour=row.usd_per_hour)


def _not_asked(answers: Sequence[Answer[Machine]], used: Collection[str]) -> list[str]:
    """A cloud without credentials matters only where a state has machines at it."""
    failed = [f"{a.cloud} could not be asked: {a.failed}" for a in answers if a.failed]
    return failed + [f"{a.cloud} could not be asked: {a.missing}" for a in answers if a.missing and a.cloud in used]


def _states() -> dict[str, Known | str]:
    names = stacks()

    def read(stack: str) -> Known | str:
        try:
            return known_machines(stack)
        except StackError as e:
            return " ".join(str(e).split())

    with ThreadPoolExecutor(STATES_AT_ONCE) as pool:
        # An owner's mark holds the plain name; a backend may qualify it.
        return dict(zip([name.rpartition("/")[2] for name in names], pool.map(read, names), strict=True))


def command(
    terminate: Annotated[bool, typer.Option("--terminate", help="End them, after a question.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="End them without a question.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compares what the clouds list with what the states know. Exits 1 while orphans remain, or where a cloud or a
    state could not be asked."""
    if as_json and terminate and not yes:
        print("crossover: --json asks no question: add --yes to --terminate", file=sys.stderr)
        raise typer.Exit(1)
    with reading():
        found = survey()
        if not as_json:
            _show(found)
        failures: dict[str, str] = {}
        if terminate and found.orphans and (yes or _agreed(found)):
            seen = {f.resource_id for f in found.orphans}
            # Looked at again: while the question stood, an `up` may have adopted one.
            found = survey()
            chosen = [f.machine for f in found.orphans if f.resource_id in seen]
            failures = end(chosen, (lambda line: None) if as_json else print)
            ended = {f"{m.cloud}/{m.id}" for m in chosen} - set(failures)
            found = Survey(tuple(f for f in found.findings if f.resource_id not in ended), found.trouble)
    if as_json:
        emit_json(_plain(found, failures))
    raise typer.Exit(1 if found.orphans or found.trouble else 0)


def end(machines: Sequence[Machine], say: Callable[[str], None]) -> dict[str, str]:
    """Ends each; the ids of those that would not end, with what to do by hand."""
    failures: dict[str, str] = {}

    def one(machine: Machine) -> None:
        registry.cloud(machine.cloud).terminate(machine.id)

    with ThreadPoolExecutor(ENDED_AT_ONCE) as pool:
        jobs = {}
        for machine in machines:
            say(f"ending {machine.cloud}/{machine.id} ({machine.name})")
            jobs[pool.submit(one, machine)] = machine
        for job in as_completed(jobs):
            name = f"{jobs[job].cloud}/{jobs[job].id}"
            try:
                job.result()
            except CloudError as e:
                failures[name] = by_hand(jobs[job], e)
                say(f"NOT ended: {name}: {failures[name]}")
            else:
                say(f"ended {name}")
    return failures


def by_hand(machine: Machine, error: CloudError) -> str:
    """A TerminateFailed says itself how a person ends the machine; for the rest this does."""
    if isinstance(error, TerminateFailed):
        return str(error)
    retry = "run `crossover orphans --terminate` again, or end it by its id in the console of the cloud"
    return f"{error}; it goes on costing {machine.usd_per_hour:f} USD/h: {retry}"


def age(created_at: str, now: datetime) -> str:
    """ "3 d 4 h", "2 h 5 min", "40 min"; empty where the cloud does not tell."""
    try:
        created = datetime.fromisoformat(created_at)
    except ValueError:
        return ""
    passed = now - (created if created.tzinfo else created.replace(tzinfo=UTC))
    minutes = max(0, int(passed.total_seconds()) // 60)
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {rest} min" if hours else f"{rest} min"


def _agreed(found: Survey) -> bool:
    return typer.confirm(f"End {len(found.orphans)} machine(s)?", default=False)


def _total(findings: Sequence[Finding]) -> Decimal:
    return sum((f.machine.usd_per_hour for f in findings), Decimal(0))


def _show(found: Survey) -> None:
    now = datetime.now(UTC)
    strays = [f for f in found.findings if f.standing is not Standing.KNOWN]
    if strays:
        shown = table("", "machine", "name", "owner", "USD/h", "age")
        right_aligned(shown, "USD/h")
        for f in strays:
            m, owner = f.machine, f.machine.owner
            mark = "" if owner is None else f"{owner.stack}/{owner.key} g{owner.generation}"
            style = "FAIL" if f.standing is Standing.ORPHAN else "WARN"
            price = f"{m.usd_per_hour:.2f}"
            shown.add_row(styled(style, f.standing), f.resource_id, m.name, mark, price, age(m.created_at, now))
        console().print(shown)
    known = len(found.findings) - len(strays)
    print(f"{len(found.orphans)} orphan(s) at {_total(found.orphans):.2f} USD/h; {known} machine(s) known to a state")
    for f in strays:
        if f.why:
            print(f"{f.resource_id} is unknown: {f.why}", file=sys.stderr)
    for line in found.trouble:
        print(line, file=sys.stderr)


def _plain(found: Survey, failures: Mapping[str, str]) -> dict[str, Any]:
    now = datetime.now(UTC)
    rows = []
    for f in found.findings:
        m, owner = f.machine, f.machine.owner
        row: dict[str, Any] = {
            "id": f.resource_id,
            "cloud": m.cloud,
            "name": m.name,
            "standing": str(f.standing),
            "stack": owner.stack if owner else "",
            "key": owner.key if owner else "",
            "generation": owner.generation if owner else None,
            "usdPerHour": f"{m.usd_per_hour:f}",
            "createdAt": m.created_at,
            "age": age(m.created_at, now),
        }
        rows.append(row | ({"why": f.why} if f.why else {}) | _failure(f.resource_id, failures))
    return {"machines": rows, "orphanUsdPerHour": f"{_total(found.orphans):f}", "trouble": list(found.trouble)}


def _failure(resource_id: str, failures: Mapping[str, str]) -> dict[str, str]:
    return {"notEnded": failures[resource_id]} if resource_id in failures else {}
