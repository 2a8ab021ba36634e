"""The evaluator of a data file's formulas, which may do arithmetic and nothing else."""

from __future__ import annotations

from decimal import Decimal

import pytest

from cost_guard.catalogue.claims.formula import FormulaError, compute


@pytest.mark.parametrize(
    ("formula", "value"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("-a ** 2", -4),
        ("2 ** 10", 1024),
        ("a / 8 - 0.25", 0),
        ("10 ** -2", 0.01),
        ("ceil(a / 3)", 1),
        ("ceil(-a / 3)", 0),
        ("max(a, 3)", 3),
        ("max(a, 1) - 1", 1),
    ],
)
def test_arithmetic_is_decimal(formula: str, value: float) -> None:
    """Precedence as in Python; 0.25 is a quarter."""
    assert compute(formula, {"a": Decimal(2)}) == Decimal(str(value))


@pytest.mark.parametrize(
    "formula",
    ["__import__('os')", "a.real", "f(1)", "[1]", "'x'", "True", "1 if a else 2", "a < 2", "1 // 2", "1 % 2", "b",
     "lambda: 1", "1 +", "", "1 / 0", "2 ** 0.5", "2 ** 1000", "9 ** 9 ** 9", "1j", "~a", "+a", "0 ** -1", "1e400",
     "(" * 500 + ")" * 500, "ceil()", "ceil(1, 2)", "max(1)", "max(1, 2, 3)", "ceil(x=1)", "ceil", "a(1)", "min(1, 2)",
     "ceil(*a)"],
)  # fmt: skip
def test_anything_but_arithmetic_is_refused(formula: str) -> None:
    """A data file cannot run code, divide by zero or fill the memory."""
    with pytest.raises(FormulaError):
        compute(formula, {"a": Decimal(2)})


def test_steps_have_names_and_stand_in_order() -> None:
    """Each may use the inputs and those before it."""
    assert compute("c + a", {"a": Decimal(2)}, {"b": "a * 3", "c": "ceil(b / 4)"}) == 4


@pytest.mark.parametrize("where", [{"b": "c", "c": "a"}, {"a": "2"}, {"b": "f(a)"}])
def test_a_step_that_cannot_be_is_refused(where: dict[str, str]) -> None:
    """One that comes too early, one that hides an input, one that is no arithmetic."""
    with pytest.raises(FormulaError):
        compute("a", {"a": Decimal(2)}, where)
