"""The verdict: what the gate says, as data, as JSON and as the text that program, pack and preview show alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any

from cost_guard import wording
from cost_guard.codes import Level
from cost_guard.wording import to_json_number

if TYPE_CHECKING:  # to start faster: see `rule`
    from cost_guard.arithmetic.costing import Case


@dataclass(frozen=True)
class Reason:
    """Why the verdict is not PASS: what the rule of `code` says."""

    code: str
    level: Level
    message: str

    def line(self) -> str:
        """The one line that every place shows."""
        return f"{self.level} {self.code}: {self.message}"


@dataclass(frozen=True)
class BreakEven:
    """Volumes in tokens per month; None where there is none."""

    simple: Decimal | None
    first: Decimal | None
    stable: Decimal | None
    p10: float | None = None
    """Quantiles of `stable` over the draws; None also where "none exists" is that quantile."""
    p50: float | None = None
    p90: float | None = None
    probability: float | None = None
    """The share of draws in which the volume reaches `stable`."""


NO_BREAK_EVEN = BreakEven(None, None, None)
"""Where a price or a throughput is not known."""


@dataclass(frozen=True)
class Tco:
    """What both sides cost over the horizon, net present value in USD."""

    months: int
    self_hosted_usd: Decimal | None
    managed_usd: Decimal | None
    crossover_month: Decimal | None
    """Where the undiscounted sums meet; None where they do not within the months."""


@dataclass(frozen=True)
class Capacity:
    """None where the throughput is not known."""

    tokens_per_second_per_node: Decimal | None
    nodes_needed: int | None
    survives_one_loss: bool | None
    utilisation: Decimal | None


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


@dataclass(frozen=True)
class Verdict:
    """What the gate says. Money is USD per month; None where a price or throughput is not known."""

    level: Level
    headline: str
    reasons: tuple[Reason, ...]
    notes: tuple[str, ...]
    """What a reader must know about the figures: how far a quotation is from live prices, what is illustrative."""
    fixed_usd_per_month: Decimal | None
    dearest_usd_per_month: Decimal | None
    """`fixed_usd_per_month` with every node on the rung that costs most: what may be billed."""
    self_hosted_usd_per_month: Decimal | None
    managed_usd_per_month: Decimal | None
    managed_usd_per_million: Decimal | None
    break_even: BreakEven
    capacity: Capacity
    tco: Tco
    recommendation: str
    inputs: dict[str, Input]
    case: Case | None = field(default=None, repr=False)
    """The rung whose figures these are: what `horizon.project`, `montecarlo.bands` and the charts begin with."""

    @property
    def blocked(self) -> bool:
        """The deployment is refused."""
        return self.level is Level.BLOCK

    @property
    def summary(self) -> str:
        """The headline, unless the reason `break-even` already tells all that it says."""
        return "" if any(reason.code == "break-even" for reason in self.reasons) else self.headline

    def exit_code(self, strict: bool = False) -> int:
        """0 PASS or WARN, 4 WARN with strict, 2 BLOCK."""
        if self.blocked:
            return 2
        return 4 if strict and self.level is Level.WARN else 0

    def to_json_dict(self) -> dict[str, Any]:
        """The document of `crossover plan --json`: numbers unrounded, null where there is none."""
        volumes, tco = self.break_even, self.tco
        return {
            "verdict": str(self.level),
            "reasons": [{"code": r.code, "level": str(r.level), "message": r.message} for r in self.reasons],
            "fixedUsdPerMonth": to_json_number(self.fixed_usd_per_month),
            "selfHostedUsdPerMonth": to_json_number(self.self_hosted_usd_per_month),
            "managedUsdPerMonth": to_json_number(self.managed_usd_per_month),
            "managedUsdPerMillion": to_json_number(self.managed_usd_per_million),
            "breakEven": {
                name: to_json_number(getattr(volumes, name))
                for name in ("simple", "first", "stable", "p10", "p50", "p90", "probability")
            },
            "capacity": {
                "tokensPerSecondPerNode": to_json_number(self.capacity.tokens_per_second_per_node),
                "nodesNeeded": self.capacity.nodes_needed,
                "survivesOneLoss": self.capacity.survives_one_loss,
                "utilisation": to_json_number(self.capacity.utilisation),
            },
            "tco": {
                "months": tco.months,
                "selfHostedUsd": to_json_number(tco.self_hosted_usd),
                "managedUsd": to_json_number(tco.managed_usd),
                "crossoverMonth": to_json_number(tco.crossover_month),
            },
            "recommendation": self.recommendation,
            "inputs": {
                name: {
                    "value": to_json_number(given.value) if isinstance(given.value, Decimal) else given.value,
                    "source": given.source,
                    "date": given.date.isoformat() if given.date else None,
                }
                for name, given in self.inputs.items()
            },
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
