"""The sources' figures, recomputed: which reproduce, which contradict, and what they would need to hold."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import typer
from rich.text import Text

from cost_guard import wording
from cost_guard.catalogue.claims import Checked, load_claims
from scripts.crossover.shell.output import console, emit_json, evaluating, styled, table

_SIZES = ((Decimal(10) ** 12, "T"), (Decimal(10) ** 9, "B"), (Decimal(10) ** 6, "M"))


def command(as_json: Annotated[bool, typer.Option("--json", help="One JSON list instead of a table.")] = False) -> None:
    with evaluating(as_json):
        checked = load_claims()
    if as_json:
        emit_json([one.to_json_dict() for one in checked])
        return
    _show(checked)


def _show(checked: list[Checked]) -> None:
    rows = table("status", "claim", "says, and yields")
    for one in checked:
        words = Text(one.claim.claim)
        words.append(f"\n{one.claim.id} ({one.claim.source})", style="dim")
        rows.add_row(styled(one.status), words, _figures(one))
    out = console()
    out.print(rows)
    counts: dict[str, int] = {}
    for one in checked:
        counts[one.status] = counts.get(one.status, 0) + 1
    out.print("\n" + ", ".join(f"{number} {status}" for status, number in counts.items()))


def _figures(one: Checked) -> Text:
    wanted, unit = one.claim.expected, one.claim.unit
    said = "no figure" if wanted is None else _number(wanted, unit) if isinstance(wanted, Decimal) else ""
    if isinstance(wanted, tuple):
        said = f"{_number(wanted[0], '')} to {_number(wanted[1], unit)}"
    text = Text(f"says {said}")
    if one.computed is not None:
        text.append(f"\nyields {_number(one.computed, unit)}")
    if one.reproduces_if is not None:
        text.append(f"\n{one.reproduces_if}")
    return text


def _number(value: Decimal, unit: str) -> str:
    """Enough digits to compare by; the JSON has them all."""
    for size, letter in _SIZES:
        if abs(value) >= size:
            return f"{_trimmed(value / size, 3)}{letter} {unit}".strip()
    return f"{_trimmed(value, 2)} {unit}".strip()


def _trimmed(value: Decimal, places: int) -> str:
    return wording.trimmed(value.quantize(Decimal(1).scaleb(-places)))
