"""The verdict's figures and words, of the reading that is shown."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from cost_guard import wording
from cost_guard.verdict.bending import level_of, waived
from cost_guard.verdict.facts.rungs import RungFacts
from cost_guard.verdict.figures import (
    BreakEven,
    Capacity,
    ReadingFigures,
    RungFigures,
    SameWeights,
    TcoFigures,
    ThroughputFigures,
    decimal_or_none,
)
from cost_guard.verdict.options import options_of, recommend, sources_say
from cost_guard.verdict.rule import Judged, Question
from cost_guard.verdict.telling.inputs import inputs
from cost_guard.verdict.telling.notes import notes
from cost_guard.verdict.verdict import Reason, Verdict
from cost_guard.verdict.words import break_even_words, displaced_words, money, subject

QUOTATION_NAME = "quotation"
"""How the document calls the node of fleet form 1."""


def verdict_of(
    asked: Question,
    name: str,
    of_readings: Sequence[tuple[Judged, Sequence[Reason]]],
    reasons: Sequence[Reason],
) -> Verdict:
    """`reasons` are those of all readings, each code once, as they stand within a baseline."""
    shown = max((judged for judged, _ in of_readings), key=_weight, default=None)
    settled, unneeded = waived(reasons, asked)
    facts, reading = asked.facts, None if shown is None else shown.reading
    spend = _spend(asked)
    options = () if shown is None else options_of(asked, shown, settled)
    cost = None if reading is None else reading.cost(reading.volume)
    budget = Fraction(asked.proposal.gateway.managed_budget_usd_per_month or 0)
    return Verdict(
        name=name,
        level=level_of(settled),
        headline=_headline(asked, shown),
        reasons=settled,
        notes=(*notes(asked, shown), *unneeded),
        fixed_usd_per_month=None if reading is None else decimal_or_none(reading.fixed),
        dearest_usd_per_month=decimal_or_none(facts.fixed_usd_per_month),
        billed_usd_per_month=decimal_or_none(facts.billed_usd_per_month),
        self_hosted_usd_per_month=decimal_or_none(cost),
        worst_case_usd_per_month=None if cost is None else decimal_or_none(cost + budget),
        managed_usd_per_month=spend,
        managed_usd_per_million=decimal_or_none(facts.managed.usd_per_million),
        displaced_tokens_per_month=asked.proposal.scenario.displaced_tokens_per_month,
        break_even=BreakEven() if shown is None else BreakEven.of(shown.reading, shown.odds),
        capacity=Capacity() if reading is None else Capacity.of(reading),
        tco=TcoFigures(facts.months) if shown is None else TcoFigures.of(shown),
        options=options,
        recommendation=recommend(options),
        sources_say=sources_say(asked.proposal.scenario, spend),
        same_weights=_same_weights(asked),
        rungs={key: _rung(rung) for key, rung in facts.rungs.items() if key},
        readings=tuple(_reading(judged, found) for judged, found in of_readings),
        inputs=inputs(asked),
        shown=shown,
    )


def _weight(judged: Judged) -> tuple[Fraction, bool, Fraction, Fraction]:
    """The greatest cost(V), then the greatest stable (none is greatest), then the greatest cost over the horizon."""
    reading = judged.reading
    stable = reading.stable
    return reading.cost(reading.volume), stable is None, stable or Fraction(0), judged.tco.self_hosted_usd


def _spend(asked: Question) -> Decimal | None:
    found = asked.facts.managed.displaced
    return None if found is None else decimal_or_none(found.volume * found.usd_per_million / 10**6)


def _headline(asked: Question, shown: Judged | None) -> str:
    """What it saves or costs too much, and where break-even is."""
    scenario, spend = asked.proposal.scenario, _spend(asked)
    if shown is not None:
        reading = shown.reading
        gap = reading.managed(reading.volume) - reading.cost(reading.volume)
        told = f"{money(abs(gap))}/month {'saved' if gap >= 0 else 'too much'}"
        return f"{subject(scenario, reading)}: {told}. {break_even_words(reading)}"
    if spend is None:
        return f"What {displaced_words(scenario)} cost at the managed models is not known."
    bill = f"{wording.usd(spend)}/month managed"
    return f"{displaced_words(scenario)} cost {bill}; what self-hosting costs is not known."


def _same_weights(asked: Question) -> SameWeights | None:
    same = asked.facts.managed.same_weights
    if same is None:
        return None
    usd = same.usd_per_million * Fraction(asked.proposal.scenario.displaced_tokens_per_month) / 10**6
    price = wording.to_decimal(same.usd_per_million)
    return SameWeights(same.row.key, same.row.provider, price, wording.to_decimal(usd))


def _rung(rung: RungFacts) -> RungFigures:
    row = rung.throughput
    return RungFigures(
        usd_per_month=decimal_or_none(rung.usd_per_month),
        tokens_per_second=None if rung.node is None else decimal_or_none(rung.node.tokens_per_second),
        throughput=None
        if row is None
        else ThroughputFigures(
            model=row.model,
            machine=row.machine,
            prefill_tokens_per_second=row.prefill_tokens_per_second,
            decode_tokens_per_second=row.decode_tokens_per_second,
            sigma=row.sigma,
            kind=row.kind,
            source=row.source,
            date=row.date,
        ),
    )


def _reading(judged: Judged, reasons: Sequence[Reason]) -> ReadingFigures:
    reading = judged.reading
    return ReadingFigures(
        name=reading.name,
        added=reading.added.name or QUOTATION_NAME,
        self_hosted_usd_per_month=wording.to_decimal(reading.cost(reading.volume)),
        nodes_needed=reading.nodes_needed,
        survives_one_loss=reading.survives_one_loss,
        first=decimal_or_none(reading.first),
        stable=decimal_or_none(reading.stable),
        horizon_usd=wording.to_decimal(judged.tco.self_hosted_usd),
        reasons=tuple((reason.code, reason.level, reason.message) for reason in reasons),
    )
