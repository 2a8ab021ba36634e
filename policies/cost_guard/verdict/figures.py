"""The figures of a verdict as data and as JSON: money in USD, volumes in tokens per month, None for none or unknown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from cost_guard.wording import to_decimal, to_json_number

if TYPE_CHECKING:  # to start faster: see `rule`
    from fractions import Fraction

    from cost_guard.arithmetic.draws import Chances
    from cost_guard.arithmetic.reading import Reading
    from cost_guard.codes import Level
    from cost_guard.verdict.rule import Judged

Document = dict[str, Any]


def decimal_or_none(value: Fraction | None) -> Decimal | None:
    """As `to_decimal`."""
    return None if value is None else to_decimal(value)


@dataclass(frozen=True)
class BreakEven:
    """Where self-hosting begins to pay, and how likely."""

    simple: Decimal | None = None
    first: Decimal | None = None
    stable: Decimal | None = None
    p10: float | None = None
    """Quantiles of `stable` over the draws; None also where "none exists" is that quantile."""
    p50: float | None = None
    p90: float | None = None
    probability: float | None = None
    """The share of draws in which the volume reaches `stable`."""
    probability_pays: float | None = None
    """The share in which it pays at the volume."""
    probability_horizon: float | None = None
    """The share in which the horizon costs no more than managed."""

    @classmethod
    def of(cls, reading: Reading, odds: Chances) -> BreakEven:
        """Of one reading."""
        return cls(
            simple=to_decimal(reading.simple),
            first=decimal_or_none(reading.first),
            stable=decimal_or_none(reading.stable),
            p10=odds.p10,
            p50=odds.p50,
            p90=odds.p90,
            probability=odds.probability,
            probability_pays=odds.probability_pays,
            probability_horizon=odds.probability_horizon,
        )

    def to_json_dict(self) -> Document:
        """Its part of the document."""
        return {
            "simple": to_json_number(self.simple),
            "first": to_json_number(self.first),
            "stable": to_json_number(self.stable),
            "p10": self.p10,
            "p50": self.p50,
            "p90": self.p90,
            "probability": self.probability,
            "probabilityPays": self.probability_pays,
            "probabilityHorizon": self.probability_horizon,
        }


@dataclass(frozen=True)
class Capacity:
    """What the nodes serve."""

    tokens_per_second_per_node: Decimal | None = None
    nodes_needed: int | None = None
    survives_one_loss: bool | None = None
    utilisation: Decimal | None = None

    @classmethod
    def of(cls, reading: Reading) -> Capacity:
        """Of one reading."""
        rate, busy = to_decimal(reading.tokens_per_second_per_node), to_decimal(reading.utilisation)
        return cls(rate, reading.nodes_needed, reading.survives_one_loss, busy)

    def to_json_dict(self) -> Document:
        """Its part of the document."""
        return {
            "tokensPerSecondPerNode": to_json_number(self.tokens_per_second_per_node),
            "nodesNeeded": self.nodes_needed,
            "survivesOneLoss": self.survives_one_loss,
            "utilisation": to_json_number(self.utilisation),
        }


@dataclass(frozen=True)
class CrossingFigures:
    """From which month on which side has cost less so far."""

    month: Decimal
    cheaper: str
    """self-hosted | managed."""


@dataclass(frozen=True)
class TcoFigures:
    """What both sides cost over the horizon, net present value in USD."""

    months: int
    self_hosted_usd: Decimal | None = None
    managed_usd: Decimal | None = None
    crossings: tuple[CrossingFigures, ...] = ()
    """Of the undiscounted sums."""
    best_start: tuple[int, Decimal] | None = None
    """How many months managed before self-hosting, and what the horizon then costs; all of them means never."""
    best_end: tuple[int, Decimal] | None = None
    """After how many months managed again, and what the horizon then costs."""
    switch_month: int | None = None
    owed_after: Decimal | None = None

    @property
    def crossover_month(self) -> Decimal | None:
        """The first crossing to self-hosted."""
        return next((one.month for one in self.crossings if one.cheaper == "self-hosted"), None)

    @classmethod
    def of(cls, judged: Judged) -> TcoFigures:
        """Of one reading."""
        found = judged.tco
        (start, start_usd), (end, end_usd) = found.best_start, found.best_end
        return cls(
            months=len(found.months),
            self_hosted_usd=to_decimal(found.self_hosted_usd),
            managed_usd=to_decimal(found.managed_usd),
            crossings=tuple(CrossingFigures(to_decimal(one.month), str(one.cheaper)) for one in found.crossings),
            best_start=(start, to_decimal(start_usd)),
            best_end=(end, to_decimal(end_usd)),
            switch_month=found.switch_month,
            owed_after=to_decimal(found.owed_after),
        )

    def to_json_dict(self) -> Document:
        """Its part of the document."""
        return {
            "months": self.months,
            "selfHostedUsd": to_json_number(self.self_hosted_usd),
            "managedUsd": to_json_number(self.managed_usd),
            "crossoverMonth": to_json_number(self.crossover_month),
            "crossings": [{"month": to_json_number(one.month), "cheaper": one.cheaper} for one in self.crossings],
            "bestStart": _month_and_usd(self.best_start),
            "bestEnd": _month_and_usd(self.best_end),
            "switchMonth": self.switch_month,
            "owedAfter": to_json_number(self.owed_after),
        }


def _month_and_usd(found: tuple[int, Decimal] | None) -> Document | None:
    return None if found is None else {"month": found[0], "usd": to_json_number(found[1])}


@dataclass(frozen=True)
class Option:
    """One way to serve the volume."""

    id: str
    usd_per_month: Decimal | None
    """Of month 1, without what is up front."""
    horizon_usd: Decimal | None
    allowed: bool
    why: str
    """Why it is not allowed; else what it comes down to."""

    def to_json_dict(self) -> Document:
        """Its part of the document."""
        return {
            "id": self.id,
            "usdPerMonth": to_json_number(self.usd_per_month),
            "horizonUsd": to_json_number(self.horizon_usd),
            "allowed": self.allowed,
            "why": self.why,
        }


@dataclass(frozen=True)
class SameWeights:
    """The cheapest API of the weights that the nodes serve."""

    model: str
    """A row of managed.toml."""
    provider: str
    usd_per_million: Decimal
    usd_per_month: Decimal | None
    """For the displaced volume; None where that is not known."""

    def to_json_dict(self) -> Document:
        """Its part of the document."""
        return {
            "model": self.model,
            "provider": self.provider,
            "usdPerMillion": to_json_number(self.usd_per_million),
            "usdPerMonth": to_json_number(self.usd_per_month),
        }


@dataclass(frozen=True)
class ThroughputFigures:
    """What a machine serves of the model, by its row."""

    model: str
    machine: str
    prefill_tokens_per_second: Decimal
    decode_tokens_per_second: Decimal
    sigma: Decimal
    kind: str
    source: str
    date: date

    def to_json_dict(self) -> Document:
        """Its part of the document."""
        return {
            "model": self.model,
            "machine": self.machine,
            "P": to_json_number(self.prefill_tokens_per_second),
            "D": to_json_number(self.decode_tokens_per_second),
            "sigma": to_json_number(self.sigma),
            "kind": self.kind,
            "source": self.source,
            "date": self.date.isoformat(),
        }


@dataclass(frozen=True)
class RungFigures:
    """One `cloud/sku` of the fleet."""

    usd_per_month: Decimal | None
    """With what is paid up front spread over the commitment."""
    tokens_per_second: Decimal | None
    """C, at the workload's shape."""
    throughput: ThroughputFigures | None

    def to_json_dict(self) -> Document:
        """Its part of the document."""
        return {
            "usdPerMonth": to_json_number(self.usd_per_month),
            "tokensPerSecond": to_json_number(self.tokens_per_second),
            "throughput": None if self.throughput is None else self.throughput.to_json_dict(),
        }


@dataclass(frozen=True)
class ReadingFigures:
    """One reading of the fleet."""

    name: str
    """first | dearest | slowest."""
    added: str
    """The catalogue key of what further nodes are; "quotation" in fleet form 1."""
    self_hosted_usd_per_month: Decimal
    nodes_needed: int
    survives_one_loss: bool
    first: Decimal | None
    stable: Decimal | None
    horizon_usd: Decimal
    reasons: tuple[tuple[str, Level, str], ...]
    """Code, level and message of what its own rules say."""

    def to_json_dict(self) -> Document:
        """Its part of the document."""
        return {
            "name": self.name,
            "added": self.added,
            "selfHostedUsdPerMonth": to_json_number(self.self_hosted_usd_per_month),
            "nodesNeeded": self.nodes_needed,
            "survivesOneLoss": self.survives_one_loss,
            "breakEven": {"first": to_json_number(self.first), "stable": to_json_number(self.stable)},
            "tco": {"selfHostedUsd": to_json_number(self.horizon_usd)},
            "reasons": [
                {"code": code, "level": str(level), "message": message} for code, level, message in self.reasons
            ],
        }
