"""The sources' figures, recomputed: which reproduce, which contradict and what these would need, which are quoted."""

from __future__ import annotations

from collections import Counter
from decimal import Context, Decimal
from typing import Annotated, get_args

import typer
from rich.text import Text

from cost_guard import wording
from cost_guard.catalogue.claims.check import Checked, Status, load_claims
from cost_guard.catalogue.claims.claim import Claim
from scripts.crossover.shell.output import console, emit_json, evaluating, styled, table

_SIZES = ((Decimal(10) ** 12, "T"), (Decimal(10) ** 9, "B"), (Decimal(10) ** 6, "M"))
_SMALL = Context(prec=2)


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
    counts = Counter(one.status for one in checked)
    out.print("\n" + ", ".join(f"{counts[status]} {status}" for status in get_args(Status)))


def _figures(one: Checked) -> Text:
    text = Text(f"says {_said(one.claim)}")
    if one.computed is not None:
        text.append(f"\nyields {_number(one.computed, one.claim.unit)}")
    if one.catalogue_row is not None:
        text.append(f"\nby {one.catalogue_row}", style="dim")
    if one.reproduces_if is not None:
        text.append(f"\n{one.reproduces_if}")
    return text


def _said(claim: Claim) -> str:
    if claim.at_least is not None:
        return f"at least {_number(claim.at_least, claim.unit)}"
    if claim.expected is None:
        return "no figure"
    if isinstance(claim.expected, tuple):
        return f"{_number(claim.expected[0], '')} to {_number(claim.expected[1], claim.unit)}"
    return _number(claim.expected, claim.unit)


def _number(value: Decimal, unit: str) -> str:
    """Enough digits to compare by; the JSON has them all."""
    for size, letter in _SIZES:
        if abs(value) >= size:
            return f"{_trimmed(value / size, 3)}{letter} {unit}".strip()
    shown = wording.trimmed(_SMALL.plus(value)) if 0 < abs(value) < Decimal("0.1") else _trimmed(value, 2)
    return f"{shown} {unit}".strip()


def _trimmed(value: Decimal, places: int) -> str:
    return wording.trimmed(value.quantize(Decimal(1).scaleb(-places)))
