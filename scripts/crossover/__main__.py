"""`crossover`: its commands are the modules of `commands`, by the names of their files; a folder there is a group.

A command is a function `command`, and its help is the module's docstring. The list of all reads these alone: a command
is imported, with the libraries that it needs, when it is called.

Exit codes: 0 fine, 2 the gate blocks, 3 cannot evaluate, 4 a warning under --strict, 1 a wrong call or a failed tool.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from inspect import cleandoc
from pathlib import Path
from types import ModuleType
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

COMMANDS = "scripts.crossover.commands"
ROOT = Path(__file__).resolve().parents[2]
DOCSTRING = re.compile(r'\s*"""(.*?)"""', re.DOTALL)


class Verb(TyperCommand):
    """A command that is known by its file alone."""

    def __init__(self, name: str, module: str, about: str) -> None:
        super().__init__(name, help=about)
        self.module = module

    def loaded(self) -> Any:
        """The command itself: now its module is imported. What it has as CONTEXT_SETTINGS goes to Typer.

        Raises ImportError for a module without a `command`.
        """
        module = _imported(self.module)
        if not hasattr(module, "command"):
            raise ImportError(f"{self.module} must have a function `command`, which is what runs")
        app = typer.Typer(add_completion=False)
        settings = getattr(module, "CONTEXT_SETTINGS", None)
        app.command(self.name, help=self.help, context_settings=settings)(module.command)
        return get_command(app)


class Verbs(TyperGroup):
    """The commands of a package. Usage errors exit 1: the usual 2 would read as BLOCK in a pipeline."""

    def __init__(self, *, package: str = COMMANDS, **attributes: Any) -> None:
        super().__init__(**attributes | {"commands": {verb.name: verb for verb in found(package)}})

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """With the module imported of the one that is called."""
        name, verb, rest = super().resolve_command(ctx, args)
        return name, verb.loaded() if isinstance(verb, Verb) else verb, rest

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        return _wrong_call(super().make_context, *args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        return _wrong_call(super().invoke, ctx)


def found(package: str) -> Iterator[Verb | Verbs]:
    """A Verb for each module of the package, and Verbs for each package in it, by name. `import_` is called import.

    Raises ImportError where a file and a folder, or two files, are one name.
    """
    for name, path in _named(ROOT.joinpath(*package.split("."))).items():
        if path.is_dir():
            about = _docstring(path / "__init__.py")
            yield Verbs(package=f"{package}.{path.name}", name=name, help=about, no_args_is_help=True)
        else:
            yield Verb(name, f"{package}.{path.stem}", _docstring(path))


def _named(folder: Path) -> dict[str, Path]:
    """The modules and packages in a folder by the names of their commands. Not by pkgutil: it passes over a file that a
    folder hides."""
    named: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if (path.suffix == ".py" and path.stem != "__init__") or (path / "__init__.py").is_file():
            other = named.setdefault(path.stem.rstrip("_"), path)
            if other is not path:
                raise ImportError(f"{other.name} and {path.name} in {folder} are the same command: rename one")
    return named


def _docstring(file: Path) -> str:
    """Of a module, without parsing the rest of it."""
    told = DOCSTRING.match(file.read_text("utf-8"))
    return cleandoc(told[1]) if told else ""


def _imported(name: str) -> ModuleType:
    """The module, with all that it imports. That stays: to look for garbage in it, over and over, takes a sixth of the
    time (`plan`: 545 ms of a core to import, 455 without)."""
    gc.disable()
    try:
        return import_module(name)
    finally:
        gc.freeze()
        gc.enable()


def _wrong_call(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    try:
        return call(*args, **kwargs)
    except typer.TyperException as error:
        error.exit_code = 1
        raise


app = typer.Typer(
    name="crossover",
    help="Self-hosted LLM inference that must pay for itself.",
    cls=Verbs,
    callback=lambda: None,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """The entry point of the installed command."""
    app(prog_name="crossover")


if __name__ == "__main__":
    main()
