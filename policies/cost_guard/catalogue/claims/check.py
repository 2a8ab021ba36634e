"""The two sources' figures, recomputed: which reproduce, which contradict, which are quoted or cannot be checked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from cost_guard.catalogue.catalogue import DATA, Catalogue, load_catalogue
from cost_guard.catalogue.claims.claim import Claim
from cost_guard.catalogue.claims.derived import carried, with_inputs
from cost_guard.catalogue.claims.formula import FormulaError, compute
from cost_guard.wording import to_json_number
from strict.toml import parse_rows, read, wrong

Status = Literal["reproduces", "reproduces-if", "contradicts", "quoted", "unverifiable"]


@dataclass(frozen=True)
class Checked:
    """A claim with what its formula yields."""

    claim: Claim
    computed: Decimal | None
    status: Status
    reproduces_if: str | None
    catalogue_row: str | None = None
    """The row that gave inputs, and its day."""
    carries: str | None = None
    """The id of the claim whose second row this is."""

    def to_json_dict(self) -> dict[str, Any]:
        """One element of `crossover claims --json`."""
        claim = self.claim
        return {
            "id": claim.id,
            "source": claim.source,
            "claim": claim.claim,
            "carries": self.carries,
            "formula": claim.formula,
            "where": claim.where,
            "inputs": {name: to_json_number(value) for name, value in claim.inputs.items()},
            "catalogueRow": self.catalogue_row,
            "expected": self._expected(),
            "computed": to_json_number(self.computed),
            "unit": claim.unit,
            "tolerance": to_json_number(claim.tolerance),
            "status": self.status,
            "reproducesIf": self.reproduces_if,
        }

    def _expected(self) -> Any:
        """A number, [low, high] of a range, [low, null] of one without an end, null of none."""
        claim = self.claim
        if claim.at_least is not None:
            return [to_json_number(claim.at_least), None]
        if isinstance(claim.expected, tuple):
            return [to_json_number(end) for end in claim.expected]
        return to_json_number(claim.expected)


def check(claim: Claim, catalogue_row: str | None = None, carries: str | None = None) -> Checked:
    """Computes the claim and judges it. Raises FormulaError."""

    def checked(computed: Decimal | None, status: Status, reproduces_if: str | None = None) -> Checked:
        return Checked(claim, computed, status, reproduces_if, catalogue_row, carries)

    if claim.kind == "quoted":
        if claim.formula is not None or claim.bounds is None:
            raise FormulaError("what is quoted has an expected figure and no formula")
        return checked(None, "quoted")
    computed = compute(claim.formula, claim.inputs, claim.where) if claim.formula is not None else None
    if claim.kind == "unverifiable":
        return checked(computed, "unverifiable")
    if computed is None or claim.bounds is None:
        raise FormulaError("a claim that is computed needs a formula and an expected figure")
    if not _holds(claim.bounds, claim.tolerance, computed):
        return checked(computed, "contradicts", _would_need(claim, computed))
    if claim.formula in claim.inputs and catalogue_row is None:
        raise FormulaError("the formula is its own input, which proves nothing: kind = 'quoted'")
    return checked(computed, "reproduces-if" if claim.condition else "reproduces", claim.condition)


def _holds(bounds: tuple[Decimal, Decimal], tolerance: Decimal, computed: Decimal) -> bool:
    """Within the tolerance of the figure, or inside the range widened by it."""
    low, high = bounds
    return low - abs(low) * tolerance <= computed and (high.is_infinite() or computed <= high + abs(high) * tolerance)


def _would_need(claim: Claim, computed: Decimal) -> str | None:
    """What would make it hold: computed from `needs`, and proven by putting it into the claim's own formula."""
    if claim.needs is None or claim.formula is None or claim.bounds is None:
        return claim.remedy
    low, high = claim.bounds
    expected = low if computed < low else high
    value = compute(claim.needs.formula, {**claim.inputs, "expected": expected}, claim.where)
    cured = compute(claim.formula, {**claim.inputs, claim.needs.input: value}, claim.where)
    if not _holds(claim.bounds, claim.tolerance, cured):
        raise FormulaError(f"{claim.needs.input} = {value} would not give {expected}")
    shown = value.quantize(Decimal("0.01")).normalize()
    return f"would need {claim.needs.input} = {shown:,f} {claim.needs.unit}"


def _checked(claim: Claim, catalogue: Catalogue | None) -> Iterator[Checked]:
    """The claim, and its second row where nodes must carry it."""
    if claim.catalogue is None:
        yield check(claim)
    else:
        yield check(*with_inputs(claim, claim.catalogue, catalogue or load_catalogue()))
    if claim.carried is not None:
        yield check(carried(claim, claim.carried), carries=claim.id)


def load_claims(path: Path = DATA / "claims.toml", catalogue: Catalogue | None = None) -> list[Checked]:
    """Every claim of the data file, computed, in its order, each with its second row after it; `catalogue` gives the
    prices, the committed one if none is given. Raises CatalogueError."""
    text = read(path)
    checked: list[Checked] = []
    for claim in parse_rows(text, path.name, Claim).values():
        try:
            checked += _checked(claim, catalogue)
        except FormulaError as error:
            raise wrong(text, path.name, (claim.id,), str(error)) from None
    return checked
