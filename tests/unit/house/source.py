"""The source as data: its files, modules and what each imports, read as text; nothing of it is run."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[3]
ROOMS = ("stacks", "providers", "images", "policies", "scripts")
ON_THE_PATH = ("policies", ".")
"""Folders in which a module's name begins, the innermost first: `strict` and not `policies.strict`."""


@dataclass(frozen=True)
class Module:
    """One Python file."""

    name: str
    path: Path
    text: str

    @property
    def shown(self) -> str:
        """The path as a person names it."""
        return str(self.path.relative_to(CHECKOUT))

    @functools.cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def package(self) -> str:
        """What a relative import of one dot begins with."""
        return self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]

    def imports(self, node: ast.AST | None = None) -> Iterator[tuple[ast.stmt, str]]:
        """Every import below `node` (anywhere in the module), with each name that it may mean: a module, or what
        stands in one."""
        for found in ast.walk(node or self.tree):
            if isinstance(found, ast.Import):
                yield from ((found, alias.name) for alias in found.names)
            elif isinstance(found, ast.ImportFrom):
                start = found.module or ""
                if found.level:
                    parent = self.package.split(".")[: len(self.package.split(".")) - found.level + 1]
                    start = ".".join((*parent, start)).strip(".")
                yield from ((found, f"{start}.{alias.name}") for alias in found.names)


@functools.cache
def files() -> tuple[Path, ...]:
    """Everything in the rooms that a person writes as code: Python, and shell with or without an ending."""
    found = (path for room in ROOMS for path in (CHECKOUT / room).rglob("*") if path.is_file())
    return tuple(sorted(path for path in found if path.suffix in {".py", ".sh"} or _is_script(path)))


def _is_script(path: Path) -> bool:
    if path.suffix:
        return False
    with path.open("rb") as opened:
        return opened.read(2) == b"#!"


@functools.cache
def modules() -> dict[str, Module]:
    """By dotted name, a package's `__init__` under the package's."""
    found = [path for path in files() if path.suffix == ".py"]
    return {name: Module(name, path, path.read_text()) for path in found if (name := _name(path))}


def _name(path: Path) -> str:
    start = next(CHECKOUT / folder for folder in ON_THE_PATH if path.is_relative_to(CHECKOUT / folder))
    parts = path.relative_to(start).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@functools.cache
def arrows() -> dict[str, frozenset[str]]:
    """Which modules of ours a module imports: at its top, in functions, and for types only."""
    ours = modules()

    def meant(name: str) -> str | None:
        """The module, or the one in which the imported thing stands."""
        return name if name in ours else parent if (parent := name.rpartition(".")[0]) in ours else None

    return {
        module.name: frozenset(found for _, name in module.imports() if (found := meant(name))) - {module.name}
        for module in ours.values()
    }
