"""How the figures of a verdict are told, alike in its headline and its reasons."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from cost_guard import wording
from cost_guard.arithmetic.breakeven import Staircase, to_decimal
from cost_guard.wording import UP, per_million

if TYPE_CHECKING:  # to start faster: see `rule`
    from cost_guard.arithmetic.costing import Case
    from cost_guard.scenario.scenario import Scenario


def money(amount: Fraction) -> str:
    """A rational amount of USD."""
    return wording.usd(to_decimal(amount))


def volume_words(volume: Fraction, rounding: str = wording.NEAREST) -> str:
    """A rational volume."""
    return wording.tokens(to_decimal(volume), rounding)


def displaced_words(scenario: Scenario) -> str:
    """The volume that is judged, and what part of the whole it is."""
    text = f"{wording.tokens(scenario.displaced_tokens_per_month)} tokens/month"
    part = scenario.managed.displaced_share
    if part == 1:
        return text
    whole = wording.tokens(scenario.workload.tokens_per_month)
    return f"{text} ({wording.percent(part)} of {whole}; the rest stays managed on both sides)"


def subject(case: Case) -> str:
    """Cost against managed."""
    nodes = case.stairs.nodes_at(case.volume)
    return (
        f"{displaced_words(case.scenario)} cost {money(case.stairs.cost(case.volume))}/month self-hosted "
        f"({wording.count(nodes, 'node')}) against {money(case.stairs.managed(case.volume))}/month managed "
        f"at {per_million(case.stairs.usd_per_million)}"
    )


def break_even_words(case: Case) -> str:
    """Where break-even is, and how far the projection is from it."""
    stairs, volume = case.stairs, case.volume
    first, stable = stairs.first, stairs.stable
    if first is None:
        return f"No break-even exists: {none_stable(stairs)}."
    text = f"Break-even is {volume_words(first, UP)} tokens/month"
    if stable is None:
        text += f", and none is stable: {none_stable(stairs)}"
    elif stable != first:
        text += f", stable only from {volume_words(stable, UP)}"
    if volume < first:
        text += f"; the projection is {wording.percent(to_decimal(volume / first))} of it"
    return text + "."


def none_stable(stairs: Staircase) -> str:
    """Why no volume pays for good."""
    marginal = per_million(to_decimal(stairs.marginal_usd_per_million), UP)
    return (
        f"beyond {wording.count(stairs.nodes, 'node')}, self-hosted tokens cost {marginal}, "
        f"not below the managed {per_million(stairs.usd_per_million)}"
    )
