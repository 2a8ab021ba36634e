"""Somebody's word that lets something through for a time, in a waiver or in the scenario: why, and when it holds."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator

from strict.fields import Text
from strict.numbers import refuse

LONGEST_REASON = 1000
"""Characters: every comment, JUnit and SARIF shows it whole."""


def _fits_a_comment(reason: str) -> str:
    if len(reason) > LONGEST_REASON:
        raise refuse(f"must be of {LONGEST_REASON:,} characters at most, got {len(reason):,}: link to the rest")
    return reason


Reason = Annotated[Text, AfterValidator(_fits_a_comment)]


class Status(StrEnum):
    """What such a word is worth on a day, and a waiver for a cost."""

    VALID = "valid"
    NOT_BEGUN = "not begun"
    EXPIRED = "expired"
    VOID = "void"
    """The cost is above its cap, or not known."""


def by_dates(begins: date, last: date, today: date) -> Status:
    """Not begun, valid or expired; it holds on both days."""
    if today < begins:
        return Status.NOT_BEGUN
    return Status.EXPIRED if today > last else Status.VALID
