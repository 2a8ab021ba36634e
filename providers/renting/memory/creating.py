"""One create, so that none is sent twice and what came of it is found: by its intent, the machine's name and its id."""

from __future__ import annotations

from collections.abc import Sequence

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
from providers.renting.presence.looking import LOOK_POLL_S, present

NOTHING_MADE = (NoCapacity, QuotaExceeded, InvalidRequest, Unauthorized, RateLimited, Unavailable)
"""What a launch raises where its cloud has refused, or nothing was sent. After anything else, a bug of ours and a kill
included, the intent stays open."""


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
        machine_or_none = _came(cloud, spec.owner, spec.name, cloud.visibility_s, waiting)
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
    owner: Owner, name: str, found: Machine | None, clouds: Clouds, waiting: Waiting, journal: Journal | None
) -> Machine | None:
    """The machine of this name that an earlier run has begun to create: `found`, where the listing shows it already.

    Else, for each intent that is open: until the cloud's window has passed since it began its name is looked for, and
    nothing of it may be created meanwhile; a machine whose id is known is looked for by that. None once nothing can
    have come of any. Raises Unavailable where the cloud could not be asked, TerminateFailed, Cancelled.
    """
    for intent in journal.open(name) if journal else ():
        assert journal is not None
        cloud = clouds(intent.cloud)
        if found is not None:
            if found.cloud == intent.cloud and not intent.machine_id:
                journal.answered(intent, found.id)
        elif intent.machine_id:
            found = _known(cloud, intent, waiting, journal)
        else:
            left_s = max(0.0, cloud.visibility_s - journal.age_s(intent))
            if left_s:
                waiting.say(f"an earlier run may have created {name} at {intent.cloud}: looking for it {left_s:.0f} s")
            found = _came(cloud, owner, name, left_s, waiting)
            if found is not None:
                journal.answered(intent, found.id)
        if found is None:
            journal.end(intent)
    return found


def _known(cloud: Cloud, intent: Intent, waiting: Waiting, journal: Journal) -> Machine | None:
    """The machine that the cloud has told us of, and no state holds. One that is not shown is ended before another is
    created: it is called gone by the same rules as any."""
    try:
        return present(cloud, intent.machine_id, waiting)
    except Gone:
        return None
    except Missing:
        cloud.terminate(intent.machine_id, journal.age_s(intent))
        return None


def _came(cloud: Cloud, owner: Owner, name: str, for_s: float, waiting: Waiting) -> Machine | None:
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
        if mine := [m for m in shown if _is(m, owner, name)]:
            return mine[0]
        if waiting.clock() >= end:
            if problem is None:
                return None
            raise Unavailable(
                f"a machine {name} may have come of a launch at {cloud.name}, which cannot be asked: {problem}. "
                "Nothing is rented in its place; the next run looks for it"
            ) from problem
        waiting.pause(min(pause_s, end - waiting.clock()))


def _is(machine: Machine, owner: Owner, name: str) -> bool:
    """By its name; its mark may come late, and must not be another's."""
    return (
        machine.name == name and machine.state in ALIVE and (machine.owner is None or machine.owner.same_stack(owner))
    )


def _end(journal: Journal | None, intent: Intent | None) -> None:
    if journal and intent:
        journal.end(intent)
