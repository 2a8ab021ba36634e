"""Waivers: who lets which violation through, why, until when, and up to what cost (docs/reference/waivers.md).

A waiver turns a BLOCK into WAIVED, which is shown everywhere. One that is expired, void or not yet begun lifts nothing,
and the BLOCK says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fnmatch import fnmatchcase

from pydantic import ValidationInfo, field_validator, model_validator

from cost_guard import wording
from cost_guard.codes import Codes, Level
from cost_guard.scenario.sections.approval import Reason, Status, by_dates
from strict import names
from strict.fields import Day, Name, Section, UsdAboveZero
from strict.numbers import refuse, shown
from strict.problems import about, did_you_mean

FILE = "waivers.yaml"
MAX_DAYS = 90
"""Longest time between `created` and `expires`."""


class Waiver(Section):
    """One entry of the file."""

    policy: Name
    """The code of the rule."""
    stack: Name
    """Glob over the stack's name."""
    urn: Name = "*"
    """Glob over the URN of the resource in violation."""
    owner: Name
    """Who mends it."""
    approver: Name
    """Who allows it meanwhile: somebody else."""
    reason: Reason
    ticket: Name
    created: Day
    expires: Day
    """The last day on which it holds."""
    cost_cap_usd_per_month: UsdAboveZero | None = None
    """It is void where nodes and overhead may cost more than this. Only for the codes of the verdict."""

    @field_validator("policy")
    @classmethod
    def _can_be_waived(cls, code: str, info: ValidationInfo) -> str:
        codes = info.context
        if not isinstance(codes, Codes):
            return code
        if code not in codes.mandatory:
            raise refuse(f"there is no rule {shown(code)}; {did_you_mean(code, codes.mandatory)}")
        if code in codes.never_waived:
            raise refuse(f"{code} is never waived: {codes.never_waived[code]}")
        return code

    @model_validator(mode="after")
    def _holds_together(self, info: ValidationInfo) -> Waiver:
        codes = info.context
        if self.owner.strip().casefold() == self.approver.strip().casefold():
            raise about("approver", "must not be the owner: somebody else allows it")
        if self.expires < self.created:
            raise about("expires", f"{self.expires} is before created, {self.created}")
        if self.expires - self.created > timedelta(days=MAX_DAYS):
            latest = self.created + timedelta(days=MAX_DAYS)
            raise about("expires", f"must be within {MAX_DAYS} days of created, by {latest}, got {self.expires}")
        capped = self.cost_cap_usd_per_month is not None
        if capped and isinstance(codes, Codes) and self.policy not in codes.of_verdict:
            raise about("costCapUsdPerMonth", f"the rule {self.policy} knows no cost; remove the cap")
        return self

    def covers_stack(self, stack: str) -> bool:
        """Whether it speaks of that stack."""
        return fnmatchcase(stack, self.stack)

    def covers(self, code: str, urn: str) -> bool:
        """Whether it speaks of that violation, whatever it is worth."""
        return self.policy == code and self.covers_stack(names.stack_of(urn)) and fnmatchcase(urn, self.urn)

    def by_dates(self, today: date) -> Status:
        """Not begun, valid or expired; whether it is void shows only at a cost."""
        return by_dates(self.created, self.expires, today)

    def status(self, today: date, usd_per_month: Decimal | None = None) -> Status:
        """`usd_per_month` is what nodes and overhead cost; with a cap, None makes it void."""
        found, cap = self.by_dates(today), self.cost_cap_usd_per_month
        if found is Status.VALID and cap is not None and (usd_per_month is None or usd_per_month > cap):
            return Status.VOID
        return found

    def words(self, today: date, usd_per_month: Decimal | None = None) -> str:
        """A sentence for the violation's message."""
        found = self.status(today, usd_per_month)
        if found is Status.VALID:
            cap = self.cost_cap_usd_per_month
            up_to = "" if cap is None else f", up to {wording.usd(cap)}/month"
            return (
                f"Waived until {self.expires}{up_to} by {self.approver}, {self.owner} mends it: {self.reason.strip()} "
                f"({self.ticket})."
            )
        if found is Status.NOT_BEGUN:
            return f"The waiver {self.ticket} begins on {self.created}."
        if found is Status.EXPIRED:
            return f"The waiver {self.ticket} of {self.owner} expired on {self.expires}."
        assert self.cost_cap_usd_per_month is not None
        costs = "are of unknown cost" if usd_per_month is None else f"cost {wording.usd(usd_per_month)}/month"
        return (
            f"The waiver {self.ticket} of {self.owner} is void: nodes and overhead {costs}, its cap is "
            f"{wording.usd(self.cost_cap_usd_per_month)}/month."
        )


@dataclass(frozen=True)
class Waivers:
    """The file's entries, in its order."""

    entries: tuple[Waiver, ...] = ()
    lines: tuple[int, ...] = ()
    """Where each begins, from 1."""
    file: str = FILE

    def line_of(self, waiver: Waiver) -> int:
        """Where an entry begins."""
        return self.lines[self.entries.index(waiver)]

    def ruling(self, code: str, urn: str, today: date, usd_per_month: Decimal | None = None) -> Waiver | None:
        """What covers a violation: one that is valid if there is one, else the one that expires last, else None."""
        covering = [waiver for waiver in self.entries if waiver.covers(code, urn)]
        order = (Status.VALID, Status.VOID, Status.NOT_BEGUN, Status.EXPIRED)
        covering.sort(key=lambda w: (order.index(w.status(today, usd_per_month)), -w.expires.toordinal()))
        return covering[0] if covering else None

    def settle(
        self, code: str, message: str, urn: str, today: date, usd_per_month: Decimal | None = None
    ) -> tuple[Level, str]:
        """A violation's level, BLOCK or WAIVED, and its message with what a waiver says of it."""
        waiver = self.ruling(code, urn, today, usd_per_month)
        if waiver is None:
            return Level.BLOCK, message
        valid = waiver.status(today, usd_per_month) is Status.VALID
        return Level.WAIVED if valid else Level.BLOCK, f"{message} {waiver.words(today, usd_per_month)}"

    def unused(self, stack: str, today: date, violated: Iterable[tuple[str, str]]) -> tuple[Waiver, ...]:
        """Those for this stack that are valid by their dates and cover none of `violated`, pairs of code and URN."""
        seen = list(violated)
        return tuple(
            waiver
            for waiver in self.entries
            if waiver.covers_stack(stack)
            and waiver.by_dates(today) is Status.VALID
            and not any(waiver.covers(code, urn) for code, urn in seen)
        )


NO_WAIVERS = Waivers()


def unused_words(waiver: Waiver, urn: str = "") -> str:
    """What to say of a waiver that nothing needs; `urn` is all that it might cover, if it is one."""
    why = "nothing violates it; remove it"
    if urn and not fnmatchcase(urn, waiver.urn):
        why = f"its urn, {waiver.urn}, does not cover {urn}; mend it or remove it"
    return f"The waiver {waiver.ticket} of {waiver.policy} is not used: {why}."


def fleet_urn(stack: str, project: str = "crossover", name: str = "fleet") -> str:
    """The URN of a Fleet at the top of a stack."""
    return names.urn(stack, project, names.FLEET, name)
