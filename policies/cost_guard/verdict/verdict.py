"""The verdict: what the gate says, as data, as JSON and as the text that program, pack and preview show alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any

from cost_guard import wording
from cost_guard.codes import Level
from cost_guard.verdict.figures import (
    BreakEven,
    Capacity,
    Option,
    ReadingFigures,
    RungFigures,
    SameWeights,
    TcoFigures,
)  # fmt: skip
from cost_guard.wording import to_json_number

if TYPE_CHECKING:  # to start faster: see `rule`
    from cost_guard.verdict.rule import Judged


@dataclass(frozen=True)
class Reason:
    """Why the verdict is not PASS: what the rule of `code` says."""

    code: str
    level: Level
    message: str

    def line(self) -> str:
        """The one line that every place shows."""
        return f"{self.level} {self.code}: {self.message}"

    def to_json_dict(self) -> dict[str, str]:
        """Its part of the document."""
        return {"code": self.code, "level": str(self.level), "message": self.message}


UNKNOWN = "unknown"
"""The source of what no catalogue row tells."""
_TEN_DIGITS = Context(prec=10)


@dataclass(frozen=True)
class Input:
    """A number that went in, and where it came from."""

    value: Decimal | int | str | bool | tuple[str, ...] | None
    source: str
    """"scenario", "default", UNKNOWN, or the citation of the catalogue's row."""
    date: date | None = None
    """Of the source, where it has one."""

    @property
    def words(self) -> str:
        """As people read it: to ten digits; "none" where nothing was given, "unknown" where it should be known."""
        if self.value is None:
            return UNKNOWN if self.source == UNKNOWN else "none"
        if isinstance(self.value, bool):
            return str(self.value).lower()
        if isinstance(self.value, tuple):
            return ", ".join(self.value)
        return self.value if isinstance(self.value, str) else wording.trimmed(_TEN_DIGITS.plus(Decimal(self.value)))

    def to_json_dict(self) -> dict[str, Any]:
        """Its part of the document."""
        value = to_json_number(self.value) if isinstance(self.value, Decimal) else self.value
        return {"value": value, "source": self.source, "date": self.date.isoformat() if self.date else None}


@dataclass(frozen=True)
class Verdict:
    """What the gate says. Money is USD per month; None where a price or throughput is not known.

    Of several models, the figures that have a sum are it, the others are None, and `models` has each one's verdict.
    """

    level: Level
    headline: str
    reasons: tuple[Reason, ...]
    notes: tuple[str, ...]
    """What a reader must know about the figures: how far a quotation is from live prices, what is illustrative."""
    fixed_usd_per_month: Decimal | None
    """Nodes and overhead as they are, at any volume, in the reading that is shown."""
    dearest_usd_per_month: Decimal | None
    """Nodes and overhead at the catalogue's prices, each node at its dearest rung: what a baseline must hold."""
    billed_usd_per_month: Decimal | None
    """The same with the ceilings of markets: what may be billed, and what a waiver's cap must hold."""
    self_hosted_usd_per_month: Decimal | None
    worst_case_usd_per_month: Decimal | None
    """`self_hosted_usd_per_month`, and what the gateway may spend at managed APIs."""
    managed_usd_per_month: Decimal | None
    managed_usd_per_million: Decimal | None
    displaced_tokens_per_month: Decimal | None
    """V: what is judged; None of several models."""
    break_even: BreakEven
    capacity: Capacity
    tco: TcoFigures
    options: tuple[Option, ...]
    recommendation: str | None
    """The id of the cheapest option that is allowed, over the horizon."""
    sources_say: str
    """What the articles' rules of thumb would say; no input."""
    same_weights: SameWeights | None
    rungs: Mapping[str, RungFigures]
    readings: tuple[ReadingFigures, ...]
    inputs: Mapping[str, Input]
    name: str = "fleet"
    """Of the served model; empty for the sum of several."""
    models: tuple[Verdict, ...] = ()
    """Of several models, each one's."""
    shown: Judged | None = field(default=None, repr=False, compare=False)
    """The reading whose figures these are: what the charts begin with."""

    @property
    def blocked(self) -> bool:
        """The deployment is refused."""
        return self.level is Level.BLOCK

    @property
    def summary(self) -> str:
        """The headline, unless the reason `break-even` already tells all that it says."""
        told = any(reason.code == "break-even" for reason in self.reasons) and not self.models
        return "" if told else self.headline

    def exit_code(self, strict: bool = False) -> int:
        """0 PASS or WARN, 4 WARN with strict, 2 BLOCK."""
        if self.blocked:
            return 2
        return 4 if strict and self.level is Level.WARN else 0

    def to_json_dict(self) -> dict[str, Any]:
        """The document of `crossover plan --json`: numbers unrounded, null where there is none."""
        each = self.models or (self,)
        return {**self._own(), "models": [{"name": one.name, **one._own()} for one in each]}

    def _own(self) -> dict[str, Any]:
        return {
            "verdict": str(self.level),
            "reasons": [reason.to_json_dict() for reason in self.reasons],
            "fixedUsdPerMonth": to_json_number(self.fixed_usd_per_month),
            "selfHostedUsdPerMonth": to_json_number(self.self_hosted_usd_per_month),
            "worstCaseUsdPerMonth": to_json_number(self.worst_case_usd_per_month),
            "managedUsdPerMonth": to_json_number(self.managed_usd_per_month),
            "managedUsdPerMillion": to_json_number(self.managed_usd_per_million),
            "breakEven": self.break_even.to_json_dict(),
            "capacity": self.capacity.to_json_dict(),
            "tco": self.tco.to_json_dict(),
            "options": [option.to_json_dict() for option in self.options],
            "recommendation": self.recommendation,
            "sourcesSay": self.sources_say,
            "sameWeights": None if self.same_weights is None else self.same_weights.to_json_dict(),
            "rungs": {key: rung.to_json_dict() for key, rung in self.rungs.items()},
            "readings": [reading.to_json_dict() for reading in self.readings],
            "inputs": {name: given.to_json_dict() for name, given in self.inputs.items()},
        }


_PREFIX = "Cost gate: "
"""How the text of a verdict begins; its level and a point follow."""
REFUSAL = f"{_PREFIX}{Level.BLOCK}."
"""How the program's refusal begins: a verdict, not a failure."""


def explain(verdict: Verdict) -> str:
    """The text that the program's refusal, the pack and the preview show alike. Several lines, no colour.

    The line of a reason is `Reason.line()`, so that the pack's rules, which report one reason each, say the same.
    """
    lines = [f"{_PREFIX}{verdict.level}. {verdict.summary}".rstrip()]
    lines += [f"  {reason.line()}" for reason in verdict.reasons]
    lines += [f"  {note}" for note in verdict.notes]
    return "\n".join(lines)
