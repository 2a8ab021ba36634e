"""What the clouds bill, compared with what the states of the project know of machines."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from enum import StrEnum

from cost_guard.catalogue.catalogue import Catalogue, load_catalogue
from providers import registry
from providers.base import Machine, MachineState, Owner
from providers.errors import CloudError, TerminateFailed, Unavailable
from providers.renting.answers.price import said
from providers.renting.memory import identity
from scripts.crossover.shell.clouds import CloudAnswer, ask
from scripts.crossover.stack.engine import StackError, project, seen_by_the_plugin, stacks
from scripts.crossover.stack.state import Known, known_machines
from scripts.crossover.stack.surgery.begun import Begun, begun, in_no_state

STATES_AT_ONCE = 4
ENDED_AT_ONCE = 8


class Standing(StrEnum):
    """What a machine is to the states."""

    KNOWN = "known"
    ORPHAN = "orphan"
    UNKNOWN = "unknown"
    """The state that would know it cannot be consulted: it is shown and never ended."""
    SOMEBODY_ELSES = "somebody else's"
    """Another stack's of the same name, by its identity: it is shown and never ended."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """One machine at a cloud."""

    machine: Machine
    standing: Standing
    why: str = ""
    """Why its standing is unknown, and what would tell; or whose it is."""

    @property
    def resource_id(self) -> str:
        """As the states write it."""
        return f"{self.machine.cloud}/{self.machine.id}"


@dataclass(frozen=True, slots=True)
class Census:
    """All that was found, and what could not be asked."""

    sightings: tuple[Sighting, ...]
    trouble: tuple[str, ...]
    """Where machines may be that nobody could look for, and creates of which no state knows. One line each."""
    begun: tuple[Begun, ...] = ()
    """Of these creates what could be ended."""
    known: frozenset[str] = frozenset()
    """Ids "cloud/machine id" that a state has."""

    @property
    def orphans(self) -> tuple[Sighting, ...]:
        """What could be ended."""
        return tuple(f for f in self.sightings if f.standing is Standing.ORPHAN)


@dataclass(frozen=True, slots=True)
class Identities:
    """Of stacks, from elsewhere than their states."""

    copied: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Stack → what it has been on this computer."""
    typed: frozenset[str] = frozenset()
    """Those of which a person says that no state has them any more."""

    def of(self, stack: str, state: Known | str | None) -> set[str]:
        """All that stack's own."""
        known = {state.stack_id} if isinstance(state, Known) else set()
        return {*known, *self.copied.get(stack, ())} - {""}


NONE = Identities()


def compare(
    machines: Sequence[Machine], states: Mapping[str, Known | str], identities: Identities = NONE
) -> tuple[Sighting, ...]:
    """Each machine that still exists with its standing. `states`: stack → what its state knows, or why it is not
    known.

    The machines must have been listed before the states were read: a state records a creation before it begins, so
    that a machine which is just being made is never taken for an orphan.
    """
    known = {id for state in states.values() if not isinstance(state, str) for id in state.machines}
    sightings = []
    for machine in machines:
        if machine.state is MachineState.TERMINATED:
            continue
        if f"{machine.cloud}/{machine.id}" in known:
            sightings.append(Sighting(machine, Standing.KNOWN))
            continue
        owner = machine.owner
        state = None if owner is None else states.get(owner.stack)
        if owner is None:
            sightings.append(Sighting(machine, Standing.UNKNOWN, "its mark cannot be read"))
        elif whose := _whose_else(owner, state, identities):
            sightings.append(Sighting(machine, Standing.SOMEBODY_ELSES, whose))
        elif why := _why_unknown(owner, state, identities):
            sightings.append(Sighting(machine, Standing.UNKNOWN, why))
        else:
            sightings.append(Sighting(machine, Standing.ORPHAN))
    return tuple(sightings)


def _whose_else(owner: Owner, state: Known | str | None, identities: Identities) -> str:
    """Whose it is, where that is certain; empty where it may be ours."""
    own = identities.of(owner.stack, state)
    if state is None or not own or not owner.stack_id or owner.stack_id in {*own, *identities.typed}:
        return ""
    return f"its identity is {owner.stack_id}, and that of {owner.stack} here is {', '.join(sorted(own))}"


def _why_unknown(owner: Owner, state: Known | str | None, identities: Identities) -> str:
    stack, lost = owner.stack, f"`crossover orphans --stack-id {owner.stack_id}` takes it for an orphan"
    own = identities.of(stack, state)
    if isinstance(state, Known) and state.busy and (owner.stack_id in own or not own):
        return f"an operation on {stack} runs, or was killed: wait for it, or run scripts/recover {stack}"
    if owner.stack_id in identities.typed:
        return ""
    if isinstance(state, Known) and not owner.stack_id:
        return (
            f"it was launched before stacks had identities: `up` adopts it if it proves to be of {stack}; else end it "
            "by its id in the console of its cloud"
        )
    if state is None:
        return f"this backend has no stack {stack}. If there is none elsewhere either, {lost}"
    if isinstance(state, str):
        ours = f"; it is this stack's, by the copy of its identity. If the state is lost for good, {lost}"
        return f"the state of {stack} cannot be read: {state}{ours if owner.stack_id in own else ''}"
    return "" if own else f"{stack} is not up, and has no identity here. If the machine is what is left of it, {lost}"


def census(typed: Collection[str] = ()) -> Census:
    """Asks the clouds, then the states. What cannot be read is told, and ends nothing; `typed` are identities of stacks
    whose states are lost, as a person says."""
    ours = project()
    journaled, unread_journal = _begun()
    answers: list[CloudAnswer[Machine]] = ask(lambda cloud: getattr(cloud, "billed", cloud.list)(ours))
    machines = [priced(machine, load_catalogue()) for answer in answers for machine in answer.found]
    named = {machine.owner.stack for machine in machines if machine.owner}
    listed = True
    try:
        states = _states()
    except StackError as e:
        listed = False
        states = dict.fromkeys(named or {"this backend"}, " ".join(str(e).split()))
    used = {id.partition("/")[0] for state in states.values() if not isinstance(state, str) for id in state.machines}
    unread = [f"the state of {stack} cannot be read: {why}" for stack, why in states.items() if isinstance(why, str)]
    environment = seen_by_the_plugin()
    copied = {
        stack: identity.kept(ours, stack, environment) for stack in {*named, *states, *(one.stack for one in journaled)}
    }
    found = compare(machines, states, Identities(copied, frozenset(typed)))
    unsettled = {stack for stack, state in states.items() if isinstance(state, str) or state.busy}
    known = frozenset(id for state in states.values() if not isinstance(state, str) for id in state.machines)
    lost = in_no_state(journaled, known, unsettled) if listed else ()
    trouble = (*_not_asked(answers, used), *unread, *unread_journal, *(one.said for one in lost))
    endable = tuple(one for one in lost if _may_end(one, found, states, Identities(copied, frozenset(typed))))
    return Census(found, trouble, endable, known)


def _may_end(one: Begun, found: Sequence[Sighting], states: Mapping[str, Known | str], identities: Identities) -> bool:
    """A state may have been moved to another backend, and its journal stays behind: what a cloud lists with another
    mark than an orphan's is left, and what is of a stack that is not here, unless a person has typed its identity."""
    here = one.stack in states or bool(identities.typed & set(identities.copied.get(one.stack, ())))
    its = [f for f in found if f.resource_id == one.machine or (f.machine.cloud, f.machine.name) == one.named]
    return here and all(f.machine.owner is None or f.standing in (Standing.ORPHAN, Standing.KNOWN) for f in its)


def _begun() -> tuple[list[Begun], list[str]]:
    """What the journals have, read before the states; and why they cannot be read."""
    try:
        return begun(), []
    except Unavailable as e:
        return [], [str(e)]


def priced(machine: Machine, catalogue: Catalogue) -> Machine:
    """At the catalogue's price where the cloud tells none."""
    row = catalogue.prices.get(f"{machine.cloud}/{machine.sku}")
    if machine.usd_per_hour is not None or row is None or row.usd_per_hour is None:
        return machine
    return replace(machine, usd_per_hour=row.usd_per_hour)


def _not_asked(answers: Sequence[CloudAnswer[Machine]], used: Collection[str]) -> list[str]:
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
    return f"{error}; it goes on costing {said(machine.usd_per_hour)}: {retry}"
