"""Waiting until a machine that is rented runs and is in contact."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from images.remote.errors import DeadlineExceeded, RemoteError, Unreachable
from images.remote.waiting import NotYet, Waiting, until
from providers.base import Cloud, Firewalled, Machine, MachineState
from providers.errors import CloudError, Gone, NotFound, RateLimited, Unavailable
from providers.renting.contact import NotSettled, first_contact
from providers.renting.presence.looking import LOOK_POLL_S

CONTACT_POLL_S = 1.0


class Ended(CloudError):
    """The cloud ended the machine while it was waited for."""


class Kept(CloudError):
    """The rent did not end well and the machine exists: it must stay in the state."""

    def __init__(self, machine: Machine, reason: str) -> None:
        super().__init__(reason)
        self.machine = machine


def await_contact(
    machine: Machine, cloud: Cloud, ssh_private_key: str, deadline_s: float, waiting: Waiting,
    settings: Mapping[str, Any] | None = None, hold: Callable[[Machine], None] = lambda machine: None,
) -> Machine:  # fmt: skip
    """Waits until the machine runs, is let in at its siblings and answers SSH with its own key; starts it if it is
    stopped.

    What `machine` knows and its cloud does not (host key, supervision) is kept. `settings` is its cloud's section, if
    it may have changed. `hold` sees each look before the contact. Raises what it raises; DeadlineExceeded with the last
    status, Ended if its cloud says so, Cancelled, HostKeyChanged; Kept where it was reached and cannot be settled, or
    not be let in at its siblings, and where its cloud has not shown it for as long as it may hide one.
    """
    looks = _Looks(machine, cloud, ssh_private_key, settings, hold, waiting.clock)

    def late(last: str) -> RemoteError:
        if looks.reached:
            return Kept(looks.machine, f"machine {machine.id} at {machine.cloud} is kept: {last}")
        return DeadlineExceeded(f"machine {machine.id} at {machine.cloud} was not reached in {deadline_s:g} s: {last}")

    return until(looks, waiting.within(deadline_s), machine.id, late)


class _Looks:
    """One look after another at a machine that is to be met, and what they told."""

    def __init__(
        self,
        machine: Machine,
        cloud: Cloud,
        ssh_private_key: str,
        settings: Mapping[str, Any] | None,
        hold: Callable[[Machine], None],
        clock: Callable[[], float],
    ) -> None:
        self.machine = machine
        self.reached = False
        self._cloud = cloud
        self._key = ssh_private_key
        self._settings = settings
        self._hold = hold
        self._clock = clock
        self._missing_since: float | None = None
        """When the cloud was first asked in vain since it last showed the machine, or since the launch."""

    def __call__(self) -> Machine:
        """The machine in contact. Raises NotYet."""
        try:
            return self._look()
        except NotSettled as e:
            self.reached, status = True, str(e)
        except Gone as e:
            raise Ended(f"machine {self.machine.id} at {self.machine.cloud} was ended: {e}") from e
        except NotFound as e:
            self._check_window(e)
            raise NotYet("its cloud does not show it yet", LOOK_POLL_S) from e
        except RateLimited as e:
            raise NotYet(str(e), e.retry_after_s or CONTACT_POLL_S) from e
        except (Unavailable, Unreachable) as e:
            status = str(e)
        raise NotYet(status, CONTACT_POLL_S)

    def _check_window(self, not_shown: NotFound) -> None:
        """Raises Kept once the cloud has not shown the machine for as long as it may hide one: its id must stay known,
        as "not found" is no evidence that it does not bill."""
        if self._missing_since is None:
            self._missing_since = self._clock()
        if self._clock() - self._missing_since >= self._cloud.visibility_s:
            raise Kept(
                self.machine,
                f"machine {self.machine.id} at {self.machine.cloud} is kept, as it may bill: its cloud has told its id "
                f"and has not shown it for {self._cloud.visibility_s:g} s ({not_shown})",
            )

    def _look(self) -> Machine:
        """The same. Raises also what stands in the way."""
        self.machine = remembered(self._cloud.get(self.machine.id), self.machine)
        self._missing_since = None
        if self.machine.state is MachineState.STOPPED:
            self.machine = remembered(self._cloud.start(self.machine.id), self.machine)
        if self.machine.state in (MachineState.TERMINATED, MachineState.TERMINATING):
            raise Ended(f"machine {self.machine.id} at {self.machine.cloud} was ended: {self.machine.status}")
        self._hold(self.machine)
        if self.machine.state is not MachineState.RUNNING:
            raise NotYet(self.machine.status or self.machine.state, CONTACT_POLL_S)
        # Before the contact, as it may be this computer that is not let in any more; judged after it, as what a
        # firewall refuses is no reason to give a machine back.
        refusal = admit(self.machine, self._cloud, self._settings)
        self.machine = first_contact(self.machine, self._key)
        if refusal is None:
            return self.machine
        if not isinstance(refusal, Unavailable | RateLimited):
            raise Kept(self.machine, f"machine {self.machine.id} at {self.machine.cloud} is kept: {refusal}")
        raise NotSettled(str(refusal))


def admit(machine: Machine, cloud: Cloud, settings: Mapping[str, Any] | None = None) -> CloudError | None:
    """Lets the machine and its siblings reach one another where the cloud has a firewall for that; why it cannot."""
    if isinstance(cloud, Firewalled) and machine.owner is not None:
        try:
            cloud.admit(machine.owner, settings)
        except CloudError as e:
            return e
    return None


def remembered(machine: Machine, before: Machine) -> Machine:
    """The machine as its cloud reports it, with what only first contact could tell."""
    return replace(
        machine,
        host_key=machine.host_key or before.host_key,
        supervision=machine.supervision or before.supervision,
    )
