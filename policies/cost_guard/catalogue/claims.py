"""The two sources' figures, recomputed: what reproduces, what only if, what contradicts, what nobody can check."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal, DecimalException, localcontext
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from cost_guard.catalogue.catalogue import DATA
from cost_guard.wording import to_json_number
from strict.fields import Given, Section
from strict.numbers import Number
from strict.toml import parse_rows, read, wrong

Status = Literal["reproduces", "reproduces-if", "contradicts", "unverifiable"]
Exact = Annotated[Decimal, Number()]

_PRECISION = Context(prec=40)
_MAX_POWER = 64
_BINARY: dict[type[ast.operator], Callable[[Decimal, Decimal], Decimal]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


class FormulaError(ValueError):
    """A formula is not plain arithmetic over its inputs."""


def compute(formula: str, inputs: Mapping[str, Decimal]) -> Decimal:
    """The value of + − * / **, parentheses, whole or decimal numbers and names, in Decimal with 40 digits.

    Nothing else is understood: no call, no attribute, no comparison. Raises FormulaError.
    """
    try:
        tree = ast.parse(formula, mode="eval")
        with localcontext(_PRECISION):
            value = _value(tree.body, inputs, formula)
    except (SyntaxError, DecimalException, RecursionError, MemoryError) as error:
        raise FormulaError(f"{formula}: {type(error).__name__}") from error
    if not value.is_finite():
        raise FormulaError(f"{formula}: not a finite number")
    return value


def _value(node: ast.expr, inputs: Mapping[str, Decimal], formula: str) -> Decimal:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return Decimal(repr(node.value))
    if isinstance(node, ast.Name):
        if node.id not in inputs:
            raise FormulaError(f"{formula}: {node.id} is not among the inputs")
        return inputs[node.id]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand, inputs, formula)
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        return _BINARY[type(node.op)](_value(node.left, inputs, formula), _value(node.right, inputs, formula))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        power = _value(node.right, inputs, formula)
        if power != power.to_integral_value() or abs(power) > _MAX_POWER:
            raise FormulaError(f"{formula}: a power must be a whole number up to {_MAX_POWER}")
        return _value(node.left, inputs, formula) ** int(power)
    raise FormulaError(f"{formula}: only + - * / **, numbers and names are understood, not {type(node).__name__}")


class Requirement(Section):
    """What one input would have to be for the expected figure to hold."""

    input: str
    formula: str
    """Over the inputs and `expected`."""
    unit: str


class Claim(Section):
    """One row of data/claims.toml."""

    id: Annotated[str, Given(), Field(alias="key")]
    """The name of its table."""
    source: str
    claim: str
    unit: str
    kind: Literal["computed", "quoted", "unverifiable"] = "computed"
    formula: str | None = None
    inputs: dict[str, Exact] = Field(default_factory=dict)
    expected: Exact | tuple[Exact, Exact] | None = None
    tolerance: Exact = Decimal(0)
    condition: str | None = None
    needs: Requirement | None = None
    remedy: str | None = None


@dataclass(frozen=True)
class Checked:
    """A claim with what its formula yields."""

    claim: Claim
    computed: Decimal | None
    status: Status
    reproduces_if: str | None

    def to_json_dict(self) -> dict[str, Any]:
        """One element of `crossover claims --json`."""
        claim = self.claim
        wanted = claim.expected
        return {
            "id": claim.id,
            "source": claim.source,
            "claim": claim.claim,
            "formula": claim.formula,
            "inputs": {name: to_json_number(value) for name, value in claim.inputs.items()},
            "expected": [to_json_number(end) for end in wanted]
            if isinstance(wanted, tuple)
            else to_json_number(wanted),
            "computed": to_json_number(self.computed),
            "unit": claim.unit,
            "tolerance": to_json_number(claim.tolerance),
            "status": self.status,
            "reproducesIf": self.reproduces_if,
        }


def check(claim: Claim) -> Checked:
    """Computes the claim and judges it. Raises FormulaError."""
    computed = compute(claim.formula, claim.inputs) if claim.formula is not None else None
    if claim.kind == "unverifiable":
        return Checked(claim, computed, "unverifiable", None)
    if computed is None or claim.expected is None:
        raise FormulaError("a claim that is not unverifiable needs a formula and an expected figure")
    if _holds(claim, computed):
        return Checked(claim, computed, "reproduces-if" if claim.condition else "reproduces", claim.condition)
    return Checked(claim, computed, "contradicts", _would_need(claim))


def _holds(claim: Claim, computed: Decimal) -> bool:
    """Within the tolerance of the figure, or inside the range widened by it."""
    wanted = claim.expected
    assert wanted is not None
    low, high = wanted if isinstance(wanted, tuple) else (wanted, wanted)
    return low - abs(low) * claim.tolerance <= computed <= high + abs(high) * claim.tolerance


def _would_need(claim: Claim) -> str | None:
    """What would make it hold: computed from `needs`, and proven by putting it into the claim's own formula."""
    if claim.needs is None or claim.formula is None or not isinstance(claim.expected, Decimal):
        return claim.remedy
    value = compute(claim.needs.formula, {**claim.inputs, "expected": claim.expected})
    if not _holds(claim, compute(claim.formula, {**claim.inputs, claim.needs.input: value})):
        raise FormulaError(f"{claim.needs.input} = {value} would not give {claim.expected}")
    shown = value.quantize(Decimal("0.01")).normalize()
    return f"would need {claim.needs.input} = {shown:,f} {claim.needs.unit}"


def load_claims(path: Path = DATA / "claims.toml") -> list[Checked]:
    """Every claim of the data file, computed, in its order. Raises CatalogueError."""
    text, checked = read(path), []
    for claim in parse_rows(text, path.name, Claim).values():
        try:
            checked.append(check(claim))
        except FormulaError as error:
            raise wrong(text, path.name, (claim.id,), str(error)) from None
    return checked
