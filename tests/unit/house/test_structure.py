"""The house stays readable: what CONTRIBUTING.md says of files, folders, functions, names and imports is counted here.

The import rules themselves are import-linter's (pyproject.toml, `make lint`).
"""

from __future__ import annotations

import ast
import graphlib
import re
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator

import pytest

from providers.registry import NAMES
from tests.unit.house.source import CHECKOUT, ROOMS, Module, arrows, files, modules

LINES_OF_A_FILE = 300
LINES_OF_A_FUNCTION = 45
MODULES_OF_A_FOLDER = 10
LISTS = {
    "images/engines": "engines",
    "images/vehicles/ssh/steps": "steps",
    "policies/cost_guard/pack/resources": "rules on a resource",
    "policies/cost_guard/verdict/rules": "rules on the verdict",
    "scripts/crossover/commands": "commands",
    "scripts/crossover/usage/readers": "usage formats",
}
"""Folders whose modules are alike, and what each is one of: nobody has to know the others to read one."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(module: Module) -> Iterator[Function]:
    return (node for node in ast.walk(module.tree) if isinstance(node, Function))


def test_no_file_is_longer_than_a_person_reads_in_one_go() -> None:
    counts = {path: len(path.read_text().splitlines()) for path in files()}
    assert {str(path.relative_to(CHECKOUT)): n for path, n in counts.items() if n > LINES_OF_A_FILE} == {}


def test_no_function_is_longer_than_a_screen() -> None:
    """Signature and docstring included."""
    long = {
        f"{module.shown}:{node.lineno} {node.name}": lines
        for module in modules().values()
        for node in functions(module)
        if (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > LINES_OF_A_FUNCTION
    }
    assert long == {}


def test_no_folder_has_more_modules_than_a_person_keeps_in_mind() -> None:
    """`__init__` and `__main__` are not counted, and lists of things alike are as long as there are things."""
    counted = (path for path in files() if path.suffix == ".py" and not path.stem.startswith("__"))
    counts = Counter(str(path.parent.relative_to(CHECKOUT)) for path in counted)
    assert {name: n for name, n in counts.items() if n > MODULES_OF_A_FOLDER and name not in LISTS} == {}


@pytest.mark.parametrize("folder", LISTS)
def test_every_list_of_things_alike_is_there(folder: str) -> None:
    assert (CHECKOUT / folder).is_dir()


def test_no_module_imports_itself_through_others() -> None:
    """Imports in functions and for types count too: one that must hide there to work is a circle."""
    try:
        graphlib.TopologicalSorter(arrows()).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" → ".join(error.args[1]))


def test_an_import_in_a_function_says_what_it_is_for() -> None:
    """It may be there to start faster, and a comment says so; circles are no reason (the test above)."""
    silent = [
        f"{module.shown}:{statement.lineno} {name}"
        for module in modules().values()
        for function in functions(module)
        for statement, name in module.imports(function)
        if not _commented(module, function, statement)
    ]
    assert silent == []


def _commented(module: Module, function: Function, statement: ast.stmt) -> bool:
    """A comment in the statement's lines or right above it, or above an import directly before it."""
    lines = module.text.splitlines()
    first = statement.lineno - 1
    while first > function.lineno and re.match(r"\s*(import|from)\s", lines[first - 1]):
        first -= 1
    return any("# " in line for line in lines[max(first - 1, 0) : statement.end_lineno])


def test_no_cloud_is_told_by_its_name() -> None:
    """How clouds differ is a capability, or a fact of clouds.toml; a cloud's own folder may do as it likes."""
    told = [
        f"{module.shown}:{node.lineno} {ast.unparse(node)}"
        for module in modules().values()
        if not module.name.startswith("providers.clouds.")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Compare | ast.MatchValue)
        for part in ast.walk(node)
        if isinstance(part, ast.Constant) and part.value in NAMES
    ]
    assert told == []


def test_no_two_classes_have_one_name() -> None:
    found = defaultdict(list)
    for module in modules().values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef):
                found[node.name].append(f"{module.shown}:{node.lineno}")
    assert {name: places for name, places in found.items() if len(places) > 1} == {}


def test_the_type_checker_skips_nothing_of_ours() -> None:
    """No file is excluded, no module of ours has a weaker setting, no file switches the checker off."""
    settings = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["mypy"]
    assert settings["strict"] is True
    excluded = [path for path in files() for pattern in settings["exclude"] if re.search(pattern, _relative(path))]
    assert excluded == []
    ours = {*ROOMS, "strict", "cost_guard", "tests"}
    overridden = {module for entry in settings["overrides"] for module in entry["module"]}
    assert {name for name in overridden if name.split(".")[0] in ours} == set()
    assert [m.shown for m in modules().values() if re.search(r"^# mypy:", m.text, re.M)] == []


def _relative(path: object) -> str:
    return str(path).removeprefix(f"{CHECKOUT}/")
