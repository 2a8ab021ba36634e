"""Formulas of a data file: arithmetic over named inputs, and nothing that could do anything else."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from decimal import ROUND_CEILING, Context, Decimal, DecimalException, localcontext

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


def compute(formula: str, inputs: Mapping[str, Decimal], where: Mapping[str, str] | None = None) -> Decimal:
    """The value of + − * / **, ceil(x), max(x, y), parentheses, whole or decimal numbers and names, in Decimal with 40
    digits.

    `where` names formulas of its own, in order: each may use the inputs and those before it. Nothing else is
    understood: no other call, no attribute, no comparison. Raises FormulaError.
    """
    known = dict(inputs)
    for name, step in (where or {}).items():
        if name in known:
            raise FormulaError(f"{name}: stands twice")
        known[name] = _computed(step, known)
    return _computed(formula, known)


def _computed(formula: str, inputs: Mapping[str, Decimal]) -> Decimal:
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
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        values = [_value(one, inputs, formula) for one in node.args]
        if node.func.id == "ceil" and len(values) == 1:
            return values[0].to_integral_value(rounding=ROUND_CEILING)
        if node.func.id == "max" and len(values) == 2:
            return max(values)
    raise FormulaError(
        f"{formula}: only + - * / **, ceil(x), max(x, y), numbers and names are understood, not {type(node).__name__}"
    )
