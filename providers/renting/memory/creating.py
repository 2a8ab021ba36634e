"""One create, so that none is sent twice and what came of it is found: by its intent, the machine's name and its id."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager

from images.remote.waiting import Waiting
from providers.base import ALIVE, Cloud, Clouds, Machine, NodeSpec, Owner
from providers.errors import (
    Ambiguous,
    CloudError,
    Gone,
    Incomplete,
    InvalidRequest,
    Missing,
    NoCapacity,
    QuotaExceeded,
    RateLimited,
    Unauthorized,
    Unavailable,
)
from providers.renting.memory.journal import Intent, Journal
from providers.renting.naming import machine_name, names_of
from providers.renting.presence.looking import LOOK_POLL_S, present

NOTHING_MADE = (NoCapacity, QuotaExceeded, InvalidRequest, Unauthorized, RateLimited, Unavailable)
"""What a launch raises where its cloud has refused, or nothing was sent. After anything else, a bug of ours and a kill
included, the intent stays open."""

LAUNCH_S = 600.0
"""So long after its intent a create may be sent: launches wait for their pace and after refusals for haste, and climb
through Vast.ai's offers. Chosen: twice what Lambda's pace makes of 25 nodes."""


def create(cloud: Cloud, spec: NodeSpec, waiting: Waiting, journal: Journal | None = None) -> Machine:
    """A machine that the cloud has launched, or that came of a create whose answer was lost. The intent is open until
    the state holds the machine (`Journal.settled`).

    Raises what `launch` raises; Unavailable where the answer was lost and no machine of the name was shown for as long
    as the cloud may hide one, or where the cloud could not be asked (then the intent stays open).
    """
    intent = journal.begin(spec.name, cloud.name) if journal and cloud.visibility_s else None
    try:
        machine = cloud.launch(spec)
    except NOTHING_MADE:
        _end(journal, intent)
        raise
    except Ambiguous as e:
        machine_or_none = _came(cloud, spec.name, cloud.visibility_s, waiting)
        if machine_or_none is None:
            _end(journal, intent)
            raise Unavailable(
                f"{cloud.name} lost the answer to a launch, and no machine {spec.name} came of it in "
                f"{cloud.visibility_s:g} s: {e}"
            ) from e
        machine = machine_or_none
    if journal and intent:
        journal.answered(intent, machine.id)
    return machine


def recalled(
    owner: Owner, found: Machine | None, clouds: Clouds, waiting: Waiting, journal: Journal | None
) -> Machine | None:
    """The machine of this node that an earlier run has begun to create: `found`, where the listing shows it already.

    Else, for each intent that is open: until the cloud's window has passed since it began its name is looked for, and
    nothing of it may be created meanwhile; a machine whose id is known is looked for by that. None once nothing can
    have come of any. What came of others than `found`'s is ended. Raises Unavailable where the cloud could not be
    asked, TerminateFailed, Cancelled.
    """
    if journal is None:
        return found
    for intent in journal.open(names_of(owner)):
        if found is None:
            with _told(intent, journal):
                found = _resumed(intent, clouds(intent.cloud), waiting, journal)
            if found is None:
                journal.end(intent)
        elif found.cloud == intent.cloud and intent.machine_id in ("", found.id):
            journal.answered(intent, found.id)
        else:
            undone([intent], clouds, waiting, journal)
    return found


def undone(
    intents: Iterable[Intent], clouds: Clouds, waiting: Waiting, journal: Journal, known: Collection[str] = ()
) -> None:
    """Ends what came of creates whose machines nobody wants any more, and the intents with them. Each is looked for as
    `recalled` does. Raises as that does; the intent then stays open. `known`: what a state has, "cloud/machine id": it
    goes on, also where its create's answer came into no journal."""
    for intent in intents:
        with _told(intent, journal):
            cloud = clouds(intent.cloud)
            found = None if intent.machine_id else _looked_for(intent, cloud, waiting, journal)
            machine_id = intent.machine_id or (found.id if found else "")
            if machine_id and f"{intent.cloud}/{machine_id}" not in known:
                waiting.say(
                    f"ending {intent.cloud}/{machine_id}, which an earlier run began and no node wants any more"
                )
                cloud.terminate(machine_id, journal.age_s(intent) if intent.machine_id else 0.0)
        journal.end(intent)


def _resumed(intent: Intent, cloud: Cloud, waiting: Waiting, journal: Journal) -> Machine | None:
    """The machine of an intent, which then has its id. One that the cloud has told us of, that no state holds and that
    is not shown is ended before another is created: it is called gone by the same rules as any."""
    if not intent.machine_id:
        found = _looked_for(intent, cloud, waiting, journal)
        if found is not None:
            journal.answered(intent, found.id)
        return found
    try:
        return present(cloud, intent.machine_id, waiting)
    except Gone:
        return None
    except Missing:
        cloud.terminate(intent.machine_id, journal.age_s(intent))
        return None


def _looked_for(intent: Intent, cloud: Cloud, waiting: Waiting, journal: Journal) -> Machine | None:
    """By its name, as long as a create of then may be hidden: it was sent LAUNCH_S after the intent at the latest."""
    left_s = max(0.0, min(cloud.visibility_s, cloud.visibility_s + LAUNCH_S - journal.age_s(intent)))
    if left_s:
        waiting.say(
            f"an earlier run may have created {intent.name} at {intent.cloud}: looking for it for up to {left_s:.0f} s"
        )
    return _came(cloud, intent.name, left_s, waiting)


@contextmanager
def _told(intent: Intent, journal: Journal) -> Iterator[None]:
    """Where waiting does not help, a person must: the error says where the intent stands."""
    try:
        yield
    except (InvalidRequest, Unauthorized) as e:
        what = f"a machine {intent.machine_id or intent.name} may have been created at {intent.cloud}"
        raise type(e)(
            f"{what}, as {journal.path(intent)} says, and cannot be looked for: {e}. Mend that; or look for it in the "
            f"console of {intent.cloud}, end it there, and remove that file"
        ) from e


def _came(cloud: Cloud, name: str, for_s: float, waiting: Waiting) -> Machine | None:
    """The machine of that name, by whatever the cloud shows, its tags or not, as soon as it does; None where it has not
    for so many seconds. Raises Unavailable where it could not be asked at the end."""
    end = waiting.clock() + for_s
    while True:
        problem: CloudError | None = None
        pause_s = LOOK_POLL_S
        shown: Sequence[Machine] = ()
        try:
            shown = cloud.inventory()
        except Incomplete as e:
            problem, shown = e, e.found
        except (Unavailable, RateLimited) as e:
            problem, pause_s = e, max(pause_s, getattr(e, "retry_after_s", None) or 0.0)
        if mine := [m for m in shown if _is(m, name)]:
            return mine[0]
        if waiting.clock() >= end:
            if problem is None:
                return None
            raise Unavailable(
                f"a machine {name} may have come of a launch at {cloud.name}, which cannot be asked: {problem}. "
                "Nothing is rented in its place; the next run looks for it"
            ) from problem
        waiting.pause(min(pause_s, end - waiting.clock()))


def _is(machine: Machine, name: str) -> bool:
    """By its name, which holds whose it is; its mark may come late, and must not be another's."""
    mine = machine.owner is None or machine_name(machine.owner) == name
    return machine.name == name and machine.state in ALIVE and mine


def _end(journal: Journal | None, intent: Intent | None) -> None:
    if journal and intent:
        journal.end(intent)
