"""How a machine is ended at a vendor, the same for each: the request is always sent, and its end is not guessed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from providers.base import Machine, MachineState
from providers.errors import CloudError, Gone, Incomplete, NotFound, RateLimited, TerminateFailed, Unavailable
from providers.renting.answers.price import said
from providers.renting.presence.looking import LOOK_POLL_S, among

PATIENCE_S = 15 * 60.0
"""Some vendors take minutes to end a machine; a person can do no more than read the message after that."""


@dataclass(slots=True)
class Ending:
    """One machine that is to end. `confirm` returns once it is gone."""

    cloud: str
    machine_id: str
    ask: Callable[[], None]
    """Sends the end request. Raises NotFound where the vendor does not know the machine."""
    look: Callable[[], Machine]
    """By its id. Raises NotFound."""
    inventory: Callable[[], Sequence[Machine]]
    """All machines that the vendor lists."""
    by_hand: str
    """What a person does instead, as the end of a sentence: "end it by hand at …"."""
    visibility_s: float
    """See `Cloud.visibility_s`."""
    age_s: float = 0.0
    """At least so many seconds have passed since its create."""
    poll_s: float = 5.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _seen: Machine | None = None
    _accepted: bool = False
    """The vendor has accepted the end request, and has not shown the machine running since."""
    _hidden_until: float = 0.0
    """Until then it may be there although nothing shows it."""
    _problem: str = ""

    def confirm(self) -> None:
        """Looks, sends the end request whatever that said, and again until the machine is gone.

        Gone is what the vendor lists as ended; and what neither a look nor the listing shows, once its end was accepted
        and it had been seen, or no create can be so young that it is not shown yet. Raises TerminateFailed with its id,
        its price and what ends it by hand.
        """
        self._hidden_until = self.clock() + max(0.0, self.visibility_s - self.age_s)
        deadline = max(self.clock() + PATIENCE_S, self._hidden_until)
        begun = self.clock()
        # One that is seen before is no create that is not shown yet: then its absence afterwards is its end.
        with suppress(CloudError):
            self._seen = self.look()
        while True:
            try:
                wait_s = self._request()
                if self._gone():
                    return
            except Gone:
                return
            except RateLimited as e:
                self._problem, wait_s = str(e), max(self.poll_s, e.retry_after_s or 0.0)
            except Unavailable as e:
                self._problem, wait_s = str(e), self.poll_s
            except CloudError as e:
                raise self._failed(str(e)) from e
            if self._seen is None:
                wait_s = max(wait_s, LOOK_POLL_S)
            if self.clock() + wait_s > deadline + (self._seen is None) * wait_s:
                raise self._failed(f"after {self.clock() - begun:.0f} s: {self._problem}")
            self.sleep(wait_s)

    def _request(self) -> float:
        """Asks for the end, but where the last look has shown that it is under way; seconds to wait before the next."""
        if self._seen is not None and self._seen.state is MachineState.TERMINATING:
            return self.poll_s
        try:
            self.ask()
            self._accepted = True
        except Gone:
            raise
        except NotFound as e:
            self._problem = str(e)
        except RateLimited as e:
            self._problem = str(e)
            return max(self.poll_s, e.retry_after_s or 0.0)
        except Unavailable as e:
            self._problem = str(e)
        return self.poll_s

    def _gone(self) -> bool:
        """Raises Gone, and where the machine cannot be looked at Unavailable and RateLimited."""
        machine, sure = self._view()
        if machine is not None:
            if machine.state is MachineState.TERMINATED:
                return True
            self._seen, self._problem = machine, f"it is {machine.status or machine.state}"
            self._hidden_until = self.clock() + self.visibility_s
            self._accepted = self._accepted and machine.state is MachineState.TERMINATING
            return False
        known = (self._accepted and self._seen is not None) or self.clock() >= self._hidden_until
        if not known:
            self._problem = f"{self.cloud} does not show it, and may not show it yet"
        return known and (sure or self._accepted)

    def _view(self) -> tuple[Machine | None, bool]:
        """The machine as a look or the listing shows it; and whether both could be asked."""
        try:
            return self.look(), True
        except Gone:
            raise
        except NotFound:
            pass
        try:
            found, sure = self.inventory(), True
        except Incomplete as e:
            found, sure = e.found, False
        except (Unavailable, RateLimited) as e:
            self._problem = f"it is not known by its id, and the listing cannot be asked: {e}"
            return None, False
        return among(found, self.machine_id), sure

    def _failed(self, why: str) -> TerminateFailed:
        price = said(self._seen.usd_per_hour if self._seen else None)
        return TerminateFailed(
            f"machine {self.machine_id} at {self.cloud} is not confirmed gone ({why}). It goes on costing {price}: "
            f"{self.by_hand}"
        )
