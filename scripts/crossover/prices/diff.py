"""What a refresh would change, and what of it is refused. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

Figures = Mapping[str, Decimal]
"""Key of a row → its number, e.g. {"usdPerHour": Decimal("22.32")}."""

FACTOR = Decimal(2)
"""A price that moves by more, up or down, is refused. Vast.ai's rose by half in a day, Lambda's by 1.56 in a year."""
SLACK = Decimal("1.25")
"""Within it, a price times the number of GPUs (or thousands of tokens) is the old one in another unit."""
THOUSAND = Decimal(1000)


@dataclass(frozen=True, slots=True)
class RowQuote:
    """What a live source says of one row."""

    key: str
    figures: Figures
    """Empty where it names no price in USD."""
    fields: Mapping[str, Any]
    """What else the row is to say: source, date, kind, terms, …"""
    gpus: int = 0
    """Of a node, so that a price per GPU is noticed; 0 for what is no node."""
    trouble: str = ""
    """Why it cannot be taken, whatever is accepted."""


@dataclass(frozen=True, slots=True)
class RowChange:
    """One row: as it is, as it would be, and why it is not taken."""

    key: str
    old: Figures | None
    """None where there is no such row yet."""
    new: Figures | None
    """None where the source no longer names it."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    refused: str = ""

    @property
    def state(self) -> str:
        """refused, new, removed, same or changed."""
        if self.refused:
            return "refused"
        if self.old is None or self.new is None:
            return "new" if self.old is None else "removed"
        return "same" if dict(self.old) == dict(self.new) else "changed"

    @property
    def moved(self) -> Decimal | None:
        """The largest relative change of a price, e.g. 0.1 for 10 % more; None where there is nothing to compare."""
        both = _prices(self.old or {}).keys() & _prices(self.new or {}).keys()
        moves = [self.new[name] / self.old[name] - 1 for name in both if self.old and self.new and self.old[name]]
        return max(moves, key=abs) if moves else None


def compare(rows: Mapping[str, Figures], quotes: Iterable[RowQuote], accepted: Collection[str]) -> list[RowChange]:
    """A change for each row, then one for each quote without a row that is accepted. `rows` are those of sources that
    answered; a row that no quote names has vanished. An accepted row that has vanished is removed."""
    told = {quote.key: quote for quote in quotes}
    found = []
    for key, old in rows.items():
        quote = told.get(key)
        if quote is None:
            gone = "" if key in accepted else "no longer offered; the row stays as it is, --accept removes it"
            found.append(RowChange(key, old, None, refused=gone))
        else:
            found.append(_judged(quote, old, key in accepted))
    return found + [_judged(quote, None, True) for key, quote in told.items() if key in accepted and key not in rows]


def _judged(quote: RowQuote, old: Figures | None, accepted: bool) -> RowChange:
    reason = quote.trouble or _impossible(quote.figures)
    if not reason and not accepted:
        reason = _doubtful(old or {}, quote)
    return RowChange(quote.key, old, quote.figures, quote.fields, reason)


def _impossible(new: Figures) -> str:
    """What no acceptance mends: the catalogue itself would refuse the row."""
    for name, value in _prices(new).items():
        if not value.is_finite() or value < 0 or (value == 0 and not name.startswith("cached")):
            return f"{name} is {value:f}, which is no price"
    return ""


def _doubtful(old: Figures, quote: RowQuote) -> str:
    new = _prices(quote.figures)
    for name, was in _prices(old).items():
        if name not in new:
            return f"{name} is no longer told; it was {was:f}"
        now = new[name]
        if was == 0 or now == 0:
            if was != now:
                return f"{name} goes from {was:f} to {now:f}"
        elif not was / FACTOR <= now <= was * FACTOR:
            unit = _other_unit(was, now, quote.gpus)
            return f"{name} moves by the factor {now / was:.2f}" + (f": it looks like {unit}" if unit else "")
    return ""


def _other_unit(was: Decimal, now: Decimal, gpus: int) -> str:
    if gpus > 1 and _near(now * gpus, was):
        return f"the price of one GPU and not of a node with {gpus}"
    if gpus > 1 and _near(now / gpus, was):
        return f"the price of a node with {gpus} GPUs, where the row has one GPU's"
    for power, words in ((THOUSAND, "thousand"), (THOUSAND**2, "million")):
        if not gpus and (_near(now * power, was) or _near(now / power, was)):
            return f"another unit, by a {words}"
    return ""


def _near(one: Decimal, other: Decimal) -> bool:
    return other / SLACK <= one <= other * SLACK


def _prices(figures: Figures) -> Figures:
    return {name: value for name, value in figures.items() if "Usd" in name or name.startswith("usd")}
