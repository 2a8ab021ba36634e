"""Options of the project files resolve as in the vendor's `sdk/v3/python/toolchain` (toolchain.go, pip.go, uv.go)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scripts.engine.toolchain import Interpreter, ToolchainError, resolve


def make_virtualenv(folder: Path) -> Path:
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").touch()
    return folder


def resolved(root: Path, program: Path | None = None, environ: dict[str, str] | None = None, **options: Any) -> Path:
    virtualenv = resolve(root, program or root, options, environ or {}).virtualenv
    assert virtualenv is not None
    return virtualenv


def test_a_relative_virtualenv_starts_at_the_project_file(tmp_path: Path) -> None:
    make_virtualenv(tmp_path / ".venv")
    assert resolved(tmp_path, tmp_path / "stacks", virtualenv=".venv") == tmp_path / ".venv"


def test_a_plugins_virtualenv_may_lie_above_it(tmp_path: Path) -> None:
    make_virtualenv(tmp_path / ".venv")
    (tmp_path / "providers").mkdir()
    assert resolved(tmp_path / "providers", virtualenv="../.venv").resolve() == tmp_path / ".venv"


def test_an_absolute_virtualenv_is_taken_as_it_is(tmp_path: Path) -> None:
    elsewhere = make_virtualenv(tmp_path / "elsewhere")
    assert resolved(tmp_path / "project", toolchain="pip", virtualenv=str(elsewhere)) == elsewhere


def test_a_virtualenv_that_does_not_exist_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match=r"'\.venv'.*doesn't exist"):
        resolve(tmp_path, tmp_path, {"virtualenv": ".venv"}, {})


def test_a_folder_without_a_python_is_no_virtualenv(tmp_path: Path) -> None:
    (tmp_path / ".venv").mkdir()
    with pytest.raises(ToolchainError, match="doesn't appear to be a virtual environment"):
        resolve(tmp_path, tmp_path, {"virtualenv": ".venv"}, {})


def test_uv_without_a_virtualenv_uses_the_one_beside_the_nearest_lock(tmp_path: Path) -> None:
    make_virtualenv(tmp_path / ".venv")
    (tmp_path / "uv.lock").touch()
    assert resolved(tmp_path, tmp_path / "stacks", toolchain="uv") == tmp_path / ".venv"


def test_uv_is_detected_by_its_lock_and_obeys_its_variable(tmp_path: Path) -> None:
    make_virtualenv(tmp_path / "other")
    (tmp_path / "uv.lock").touch()
    assert resolved(tmp_path, environ={"UV_PROJECT_ENVIRONMENT": "other"}) == tmp_path / "other"


def test_uv_without_a_lock_looks_beside_pyproject_toml(tmp_path: Path) -> None:
    make_virtualenv(tmp_path / ".venv")
    (tmp_path / "pyproject.toml").touch()
    assert resolved(tmp_path / "pack", tmp_path / "pack" / "program", toolchain="uv") == tmp_path / ".venv"


@pytest.mark.parametrize("toolchain", ["poetry", "conda"])
def test_a_toolchain_that_this_host_does_not_know_is_refused(tmp_path: Path, toolchain: str) -> None:
    with pytest.raises(ToolchainError, match=toolchain):
        resolve(tmp_path, tmp_path, {"toolchain": toolchain}, {})


def test_poetry_is_detected_by_its_lock_and_refused(tmp_path: Path) -> None:
    (tmp_path / "poetry.lock").touch()
    with pytest.raises(ToolchainError, match="poetry"):
        resolve(tmp_path, tmp_path, {}, {})


def test_a_typechecker_is_refused_and_not_silently_left_out(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match="typechecker"):
        resolve(tmp_path, tmp_path, {"typechecker": "mypy"}, {})


def test_without_options_the_python_on_path_runs(tmp_path: Path) -> None:
    python = tmp_path / "python3"
    python.touch(mode=0o755)
    assert resolve(tmp_path, tmp_path, {}, {"PATH": str(tmp_path)}) == Interpreter(str(python))


def test_the_variable_names_the_python_where_no_option_does(tmp_path: Path) -> None:
    python = tmp_path / "python-of-mine"
    python.touch(mode=0o755)
    environ = {"PATH": str(tmp_path), "PULUMI_PYTHON_CMD": "python-of-mine"}
    assert resolve(tmp_path, tmp_path, {}, environ) == Interpreter(str(python))


def test_no_python_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match="python3, python"):
        resolve(tmp_path, tmp_path, {}, {"PATH": str(tmp_path)})


def test_activation_is_what_the_activate_script_does(tmp_path: Path) -> None:
    python = Interpreter(str(tmp_path / "bin/python"), tmp_path)
    environ = python.activate({"PATH": "/usr/bin", "PYTHONHOME": "/elsewhere", "VIRTUAL_ENV": "/other", "KEPT": "1"})
    assert environ == {"PATH": f"{tmp_path}/bin:/usr/bin", "VIRTUAL_ENV": str(tmp_path), "KEPT": "1"}
    assert python.activate({})["PATH"] == f"{tmp_path}/bin"
    assert Interpreter("python3").activate({"PYTHONHOME": "/kept"}) == {"PYTHONHOME": "/kept"}
