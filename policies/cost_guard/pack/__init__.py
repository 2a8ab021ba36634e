"""The rules of the pack, one a file, found by their codes (cost_guard.codes), and two that block nothing."""

from importlib import import_module
from importlib.util import find_spec

from pulumi_policy import Policy

from cost_guard.codes import MANDATORY
from cost_guard.pack.advisories import Advisories, WaiversShown
from cost_guard.pack.rule import Rule
from cost_guard.pack.stack_rule import StackRule


def rules() -> list[Rule | StackRule]:
    """The mandatory ones, in the order of the registry. Raises ImportError for a code that has no file."""
    return [import_module(_module(code.replace("-", "_"))).RULE for code in MANDATORY]


def _module(name: str) -> str:
    return f"{__name__}.resources.{name}" if find_spec(f"{__name__}.resources.{name}") else f"{__name__}.{name}"


def policies() -> list[Policy]:
    """All of them; those that show what the others found and do not block come last."""
    mandatory = rules()
    return [
        *mandatory,
        Advisories([rule for rule in mandatory if isinstance(rule, Rule)]),
        WaiversShown([rule for rule in mandatory if isinstance(rule, StackRule)]),
    ]
