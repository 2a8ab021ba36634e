"""The rules of the pack, one a file, found by their codes (cost_guard.registry), and two that block nothing."""

from importlib import import_module

from pulumi_policy import Policy

from cost_guard.registry import MANDATORY
from cost_guard.rules.advisories import Advisories, WaiversShown
from cost_guard.rules.rule import Rule
from cost_guard.rules.stack_rule import StackRule


def rules() -> list[Rule | StackRule]:
    """The mandatory ones, in the order of the registry. Raises ImportError for a code that has no file."""
    return [import_module(f".{code.replace('-', '_')}", __name__).RULE for code in MANDATORY]


def policies() -> list[Policy]:
    """All of them; those that show what the others found and do not block come last."""
    mandatory = rules()
    return [
        *mandatory,
        Advisories([rule for rule in mandatory if isinstance(rule, Rule)]),
        WaiversShown([rule for rule in mandatory if isinstance(rule, StackRule)]),
    ]
