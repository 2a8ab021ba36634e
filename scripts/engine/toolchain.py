"""Which Python the options of a Pulumi.yaml, PulumiPlugin.yaml or PulumiPolicy.yaml ask for, as the vendor's host says.

The rules are those of `github.com/pulumi/pulumi/sdk/v3/python/toolchain` at 3.259.0 (toolchain.go, pip.go, uv.go).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class ToolchainError(Exception):
    """The options cannot be followed; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python: its executable, and the virtual environment that it belongs to, if the options name one."""

    executable: str
    virtualenv: Path | None = None

    def activate(self, environ: Mapping[str, str]) -> dict[str, str]:
        """`environ` with the virtual environment first on PATH, as its `activate` script would have it."""
        result = dict(environ)
        if self.virtualenv is None:
            return result
        result.pop("PYTHONHOME", None)
        folder = str(self.virtualenv / "bin")
        result["PATH"] = f"{folder}:{result['PATH']}" if "PATH" in result else folder
        result["VIRTUAL_ENV"] = str(self.virtualenv)
        return result


def resolve(root: Path, program: Path, options: Mapping[str, Any], environ: Mapping[str, str]) -> Interpreter:
    """The interpreter for `program`, whose project file lies in `root`; ToolchainError if there is none."""
    if options.get("typechecker"):
        raise ToolchainError("the option 'typechecker' needs the vendor's CLI")
    toolchain = options.get("toolchain") or _detect(program)
    virtualenv = str(options.get("virtualenv") or "")
    if toolchain == "pip" and not virtualenv:
        return _ambient(environ)
    if toolchain not in ("pip", "uv"):
        raise ToolchainError(f"the toolchain {toolchain!r} is not one that this host knows: pip, uv")
    folder = root / virtualenv if virtualenv else _uv_environment(program, environ)
    executable = folder / "bin" / "python"
    if not executable.is_file():
        state = "doesn't appear to be a virtual environment" if folder.exists() else "doesn't exist"
        raise ToolchainError(
            f"The 'virtualenv' option in Pulumi.yaml is set to {virtualenv or folder.name!r}, "
            f"but {str(folder)!r} {state}; scripts/bootstrap creates it, and in a copied policy pack its own `install`"
        )
    return Interpreter(str(executable), folder)


def _detect(program: Path) -> str:
    if _upward(program, "uv.lock"):
        return "uv"
    return "poetry" if _upward(program, "poetry.lock") else "pip"


def _upward(folder: Path, name: str) -> Path | None:
    return next((parent for parent in _self_and_parents(folder) if (parent / name).exists()), None)


def _self_and_parents(folder: Path) -> Iterator[Path]:
    yield folder
    yield from folder.parents


def _uv_environment(program: Path, environ: Mapping[str, str]) -> Path:
    project = _upward(program, "uv.lock") or _upward(program, "pyproject.toml") or program
    return project / (environ.get("UV_PROJECT_ENVIRONMENT") or ".venv")


def _ambient(environ: Mapping[str, str]) -> Interpreter:
    chosen = environ.get("PULUMI_PYTHON_CMD")
    names = [chosen] if chosen else ["python3", "python"]
    for name in names:
        if found := shutil.which(name, path=environ.get("PATH")):
            return Interpreter(found)
    raise ToolchainError(f"none of {', '.join(names)} is on PATH")
