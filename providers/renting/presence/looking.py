"""A machine is gone when its vendor says that it ended, and missing when nothing has shown it for minutes."""

from __future__ import annotations

from collections.abc import Iterable

from images.remote.waiting import Waiting
from providers.base import Cloud, Machine, MachineState
from providers.errors import CloudError, Gone, Incomplete, Missing, NotFound, RateLimited, Unavailable

LOOK_POLL_S = 5.0


def present(cloud: Cloud, machine_id: str, waiting: Waiting, window_s: float | None = None) -> Machine:
    """The machine, at once where its cloud shows it. Else it is looked for, by its id and in the listing, until one of
    the two shows it again or `window_s` has passed (the cloud's own `visibility_s`, unless it was waited for just now).

    Raises Gone where the vendor lists it as ended, Missing where both were asked at the end and neither shows it,
    Cancelled, and what the cloud raises where it could not be asked.
    """
    window_s = cloud.visibility_s if window_s is None else window_s
    end = waiting.clock() + window_s
    said = False
    while True:
        problem: CloudError | None = None
        pause_s = LOOK_POLL_S
        try:
            if machine := shown(cloud, machine_id):
                return machine
        except (Unavailable, RateLimited, Incomplete) as e:
            if not said:
                raise
            problem = e
            pause_s = max(pause_s, getattr(e, "retry_after_s", None) or 0.0)
        if waiting.clock() >= end:
            raise problem or Missing(
                f"{cloud.name} has shown machine {machine_id} neither by its id nor in its listing for {window_s:g} s"
            )
        if not said:
            said = True
            waiting.say(f"{cloud.name} does not show machine {machine_id}: looking for it for up to {window_s:g} s")
        waiting.pause(min(pause_s, max(0.0, end - waiting.clock())))


def shown(cloud: Cloud, machine_id: str) -> Machine | None:
    """The machine, where a look by its id or the listing shows it; None where neither does. Raises Gone, and what the
    cloud raises where one of them could not be asked and the other does not show it."""
    machine: Machine | None
    try:
        machine = cloud.get(machine_id)
    except Gone:
        raise
    except NotFound:
        machine = listed(cloud, machine_id)
    if machine is not None and machine.state is MachineState.TERMINATED:
        raise Gone(f"{cloud.name} lists machine {machine_id} as ended: {machine.status}")
    return machine


def listed(cloud: Cloud, machine_id: str) -> Machine | None:
    """The machine as the listing shows it. Raises Incomplete where it is not in what a part of the cloud said."""
    try:
        found = cloud.inventory()
    except Incomplete as e:
        if machine := among(e.found, machine_id):
            return machine
        raise
    return among(found, machine_id)


def among(machines: Iterable[Machine], machine_id: str) -> Machine | None:
    """The one of that id."""
    return next((machine for machine in machines if machine.id == machine_id), None)
