"""How the figures of a verdict are told, alike in its headline and its reasons."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import TYPE_CHECKING

from cost_guard import wording
from cost_guard.wording import UP, per_million, to_decimal

if TYPE_CHECKING:  # to start faster: see `rule`
    from cost_guard.arithmetic.reading import Reading
    from cost_guard.scenario.scenario import Scenario

QUOTATION = "the quotation"
"""How the node of fleet form 1 is called, which has no catalogue key."""


def money(amount: Fraction) -> str:
    """A rational amount of USD."""
    return wording.usd(to_decimal(amount))


def whole_dollars(amount: Fraction) -> str:
    """The cents of two years are noise."""
    return wording.usd(to_decimal(Fraction(round(amount))))


def volume_words(volume: Fraction, rounding: str = wording.NEAREST) -> str:
    """A rational volume."""
    return wording.tokens(to_decimal(volume), rounding)


def price_words(usd_per_million: Fraction, rounding: str = wording.NEAREST) -> str:
    """A rational price of a million tokens."""
    return per_million(to_decimal(usd_per_million), rounding)


def displaced_words(scenario: Scenario) -> str:
    """The volume that is judged, and what part of the whole it is."""
    text = f"{wording.tokens(scenario.displaced_tokens_per_month)} tokens/month"
    part = scenario.managed.displaced_share
    if part == 1:
        return text
    whole = wording.tokens(scenario.workload.tokens_per_month)
    return f"{text} ({wording.percent(part)} of {whole}; the rest stays managed on both sides)"


def reading_words(reading: Reading, all_readings: Iterable[Reading]) -> str:
    """Which reading a statement is about: "with every node at its dearest, more of them at aws/p4de.24xlarge: ", where
    there are several."""
    alike = list(all_readings)
    if len(alike) == 1:
        return ""
    more = len([one for one in alike if one.name == reading.name]) > 1
    added = f", more of them at {reading.added.name or QUOTATION}" if more else ""
    return f"with every node at its {reading.name} rung{added}: "


def subject(scenario: Scenario, reading: Reading) -> str:
    """Cost against managed."""
    volume = reading.volume
    return (
        f"{displaced_words(scenario)} cost {money(reading.cost(volume))}/month self-hosted "
        f"({wording.count(reading.nodes_needed, 'node')}) against {money(reading.managed(volume))}/month managed "
        f"at {price_words(reading.usd_per_million)}"
    )


def break_even_words(reading: Reading) -> str:
    """Where break-even is, and how far the projection is from it."""
    volume, first, stable = reading.volume, reading.first, reading.stable
    if first is None:
        return f"No break-even exists: {none_stable(reading)}."
    text = f"Break-even is {volume_words(first, UP)} tokens/month"
    if stable is None:
        text += f", and none is stable: {none_stable(reading)}"
    elif stable != first:
        text += f", stable only from {volume_words(stable, UP)}"
    if volume < first:
        text += f"; the projection is {wording.percent(to_decimal(volume / first))} of it"
    return text + "."


def none_stable(reading: Reading) -> str:
    """Why no volume pays for good."""
    marginal = price_words(reading.marginal_usd_per_million, UP)
    return (
        f"beyond {wording.count(len(reading.nodes), 'node')}, self-hosted tokens cost {marginal}, "
        f"not below the managed {price_words(reading.usd_per_million)}"
    )
