"""Waivers: who lets which violation through, why, until when, and up to what cost (docs/reference/waivers.md).

A waiver turns a BLOCK into WAIVED, which is shown everywhere. One that is expired, void or not yet begun lifts nothing,
and the BLOCK says so.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from difflib import get_close_matches
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from cost_guard import wording
from cost_guard.codes import FLEET_CODES, MANDATORY, NEVER_WAIVED
from cost_guard.verdict.verdict import Level, Reason, Verdict, worst
from strict import yaml as strict_yaml
from strict.fields import Day, Name, Section, UsdAboveZero
from strict.numbers import refuse, shown
from strict.places import Lines, told
from strict.toml import Text

WAIVERS_VARIABLE = "CROSSOVER_WAIVERS"
"""Set to a path, it names the file in place of waivers.yaml at the project's root."""
FILE = "waivers.yaml"
LONGEST_REASON = 1000
"""Characters: every comment, JUnit and SARIF shows it whole."""
MAX_DAYS = 90
"""Longest time between `created` and `expires`."""


class WaiverError(ValueError):
    """The file cannot be used. `lines` has one line for each thing to mend, with file, line and key."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


class Status(StrEnum):
    """What a waiver is worth on a day, for a cost."""

    VALID = "valid"
    NOT_BEGUN = "not begun"
    EXPIRED = "expired"
    VOID = "void"
    """The cost is above its cap, or not known."""


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
    reason: Text
    ticket: Name
    created: Day
    expires: Day
    """The last day on which it holds."""
    cost_cap_usd_per_month: UsdAboveZero | None = None
    """It is void where nodes and overhead may cost more than this. Only for the codes of the verdict."""

    @field_validator("reason")
    @classmethod
    def _fits_a_comment(cls, reason: str) -> str:
        if len(reason) > LONGEST_REASON:
            raise refuse(f"must be of {LONGEST_REASON:,} characters at most, got {len(reason):,}: link to the rest")
        return reason

    @field_validator("policy")
    @classmethod
    def _can_be_waived(cls, code: str) -> str:
        if code not in MANDATORY:
            near = get_close_matches(code, MANDATORY, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(MANDATORY)}"
            raise refuse(f"there is no rule {shown(code)}; {hint}")
        if code in NEVER_WAIVED:
            raise refuse(f"{code} is never waived: {NEVER_WAIVED[code]}")
        return code

    @model_validator(mode="after")
    def _holds_together(self) -> Waiver:
        if self.owner.strip().casefold() == self.approver.strip().casefold():
            raise _about("approver", "must not be the owner: somebody else allows it")
        if self.expires < self.created:
            raise _about("expires", f"{self.expires} is before created, {self.created}")
        if self.expires - self.created > timedelta(days=MAX_DAYS):
            latest = self.created + timedelta(days=MAX_DAYS)
            raise _about("expires", f"must be within {MAX_DAYS} days of created, by {latest}, got {self.expires}")
        if self.cost_cap_usd_per_month is not None and self.policy not in FLEET_CODES:
            raise _about("costCapUsdPerMonth", f"the rule {self.policy} knows no cost; remove the cap")
        return self

    def covers_stack(self, stack: str) -> bool:
        """Whether it speaks of that stack."""
        return fnmatchcase(stack, self.stack)

    def covers(self, code: str, urn: str) -> bool:
        """Whether it speaks of that violation, whatever it is worth."""
        return self.policy == code and self.covers_stack(stack_of(urn)) and fnmatchcase(urn, self.urn)

    def by_dates(self, today: date) -> Status:
        """Not begun, valid or expired; whether it is void shows only at a cost."""
        if today < self.created:
            return Status.NOT_BEGUN
        return Status.EXPIRED if today > self.expires else Status.VALID

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


def apply(verdict: Verdict, waivers: Waivers, urn: str, today: date) -> Verdict:
    """The verdict with its BLOCKs waived where a waiver covers them; its level is then at least WARN.

    `urn` is the Fleet's (`fleet_urn`). A BLOCK that an expired or void waiver covers says so. Waivers of the verdict's
    codes that are not needed are told in the notes.
    """
    dearest = verdict.dearest_usd_per_month

    def settled(reason: Reason) -> Reason:
        if reason.level is not Level.BLOCK:
            return reason
        level, message = waivers.settle(reason.code, reason.message, urn, today, dearest)
        return replace(reason, level=level, message=message)

    told = tuple(settled(reason) for reason in verdict.reasons)
    blocked = [(reason.code, urn) for reason in verdict.reasons if reason.level is Level.BLOCK]
    unneeded = tuple(
        unused_words(waiver, urn)
        for waiver in waivers.unused(stack_of(urn), today, blocked)
        if waiver.policy in FLEET_CODES
    )
    if told == verdict.reasons and not unneeded:
        return verdict
    level = worst(reason.level for reason in told)
    return replace(verdict, level=level, reasons=told, notes=(*verdict.notes, *unneeded))


def unused_words(waiver: Waiver, urn: str = "") -> str:
    """What to say of a waiver that nothing needs; `urn` is all that it might cover, if it is one."""
    why = "nothing violates it; remove it"
    if urn and not fnmatchcase(urn, waiver.urn):
        why = f"its urn, {waiver.urn}, does not cover {urn}; mend it or remove it"
    return f"The waiver {waiver.ticket} of {waiver.policy} is not used: {why}."


def fleet_urn(stack: str, project: str = "crossover", name: str = "fleet") -> str:
    """The URN of a Fleet at the top of a stack."""
    return f"urn:pulumi:{stack}::{project}::crossover:index:Fleet::{name}"


def stack_of(urn: str) -> str:
    """The stack's name of urn:pulumi:<stack>::…"""
    return urn.split("::", 1)[0].removeprefix("urn:pulumi:")


def load_waivers(folder: Path) -> Waivers:
    """Those of the file that CROSSOVER_WAIVERS names, else of `folder`/waivers.yaml, where no file is none.

    Raises WaiverError: also where CROSSOVER_WAIVERS names no file.
    """
    given = os.environ.get(WAIVERS_VARIABLE)
    path = Path(given) if given else folder / FILE
    if not given and not path.exists():
        return NO_WAIVERS
    return read_waivers(path)


def read_waivers(path: Path) -> Waivers:
    """The file's. Raises WaiverError."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WaiverError([f"{path}: cannot be read: {error.strerror}"]) from None
    return parse_waivers(content, path.name)


def parse_waivers(content: str | bytes, file: str = FILE) -> Waivers:
    """The file's content: a list of entries, or nothing. Raises WaiverError."""
    try:
        document, lines = strict_yaml.load(content, file)
    except strict_yaml.Refused as error:
        raise WaiverError([str(error)]) from None
    if document is None:
        return replace(NO_WAIVERS, file=file)
    if not isinstance(document, list):
        raise WaiverError([told(file, 1, "", f"expected a list of waivers, got {shown(document)}")])
    entries, complaints = [], []
    for number, entry in enumerate(document):
        try:
            entries.append(Waiver.model_validate(entry))
        except ValidationError as error:
            complaints += [_complaint(lines, str(number), detail) for detail in error.errors(include_url=False)]
    if complaints:
        raise WaiverError(complaints)
    return Waivers(tuple(entries), tuple(lines.at((str(number),)) for number in range(len(entries))), file)


def _complaint(lines: Lines, number: str, detail: ErrorDetails) -> str:
    """One line: file, line and key, what is wrong and what to do."""
    key = str(detail.get("ctx", {}).get("key") or next(iter(detail["loc"]), ""))
    return told(lines.file, lines.at((number, key)), key, _words(key, detail))


def _words(key: str, detail: ErrorDetails) -> str:
    known = [field.alias or name for name, field in Waiver.model_fields.items()]
    if detail["type"] == "extra_forbidden":
        near = get_close_matches(key, known, n=1)
        return f"unknown key (did you mean {near[0]}?)" if near else f"unknown key; known are {', '.join(known)}"
    if detail["type"] == "missing":
        return "missing; every waiver needs it"
    if detail["type"] in ("model_type", "model_attributes_type"):
        return f"expected a map of keys, got {shown(detail['input'])}"
    return detail["msg"]


def _about(key: str, text: str) -> PydanticCustomError:
    """What only the whole entry shows, said of one key."""
    return PydanticCustomError("crossover", "{text}", {"text": text, "key": key})
