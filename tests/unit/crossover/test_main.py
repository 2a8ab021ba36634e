"""`crossover` finds its commands by their files, and imports what they need when they are called."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.crossover.__main__ import COMMANDS, ROOT, Verb, found

Crossover = Callable[..., subprocess.CompletedProcess[str]]
HEAVY = ("pydantic", "pulumi", "paramiko", "httpx", "yaml", "numpy", "cost_guard", "providers", "images", "stacks")
HELLO = '''"""Says hello.

It knows nobody."""


def command(name: str = "you") -> None:
    import scripts.crossover.commands

    print(f"hello {name}")
    raise SystemExit(2)
'''


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The command line alone, with nothing else of the project on the path."""
    shutil.copytree(
        ROOT / "scripts" / "crossover", tmp_path / "scripts" / "crossover", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(ROOT / "scripts" / "__init__.py", tmp_path / "scripts")
    return tmp_path


@pytest.fixture
def crossover(copied: Path) -> Crossover:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "scripts.crossover", *arguments], cwd=copied, text=True, capture_output=True,
            check=False, env={**os.environ, "PYTHONPATH": str(copied), "COLUMNS": "80"}, timeout=60,
        )  # fmt: skip

    return run


def every(package: str = COMMANDS) -> list[Verb]:
    """All commands, those of groups too."""
    return [verb for one in found(package) for verb in ([one] if isinstance(one, Verb) else one.commands.values())]  # type: ignore[misc]


def test_a_file_is_a_command(copied: Path, crossover: Crossover) -> None:
    """With no other line changed: it is listed with its docstring's first paragraph, has its options, and runs."""
    (copied / "scripts" / "crossover" / "commands" / "hello.py").write_text(HELLO)
    listed = crossover("--help").stdout
    assert "hello" in listed
    assert "Says hello." in listed
    assert "It knows nobody" not in listed
    about = crossover("hello", "--help").stdout
    assert "It knows nobody." in about
    assert "--name" in about
    ran = crossover("hello", "--name", "world")
    assert (ran.stdout, ran.returncode) == ("hello world\n", 2)


def test_a_folder_is_a_group(copied: Path, crossover: Crossover) -> None:
    """A file that would be a keyword has an underscore behind it, which nobody types."""
    folder = copied / "scripts" / "crossover" / "commands" / "greet"
    folder.mkdir()
    (folder / "__init__.py").write_text('"""What people say."""\n')
    (folder / "not_.py").write_text(HELLO)
    assert "What people say." in crossover("--help").stdout
    assert "not " in crossover("greet", "--help").stdout
    assert crossover("greet", "not").stdout == "hello you\n"
    assert crossover("greet").returncode == 1


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("plan/__init__.py", "plan and plan.py in "),
        ("plan_.py", "plan.py and plan_.py in "),
    ],
)
def test_two_commands_of_one_name_are_refused(copied: Path, crossover: Crossover, file: str, said: str) -> None:
    """A folder hides the file beside it from Python: neither is passed over in silence, and both are named."""
    path = copied / "scripts" / "crossover" / "commands" / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(HELLO)
    ran = crossover("--help")
    assert ran.returncode == 1
    last = ran.stderr.splitlines()[-1]
    assert said in last
    assert last.endswith(" are the same command: rename one")


def test_a_file_without_a_command_says_so(copied: Path, crossover: Crossover) -> None:
    (copied / "scripts" / "crossover" / "commands" / "hello.py").write_text('"""Says hello."""\n')
    ran = crossover("hello")
    assert (ran.returncode, ran.stderr.splitlines()[-1]) == (
        1, "ImportError: scripts.crossover.commands.hello must have a function `command`, which is what runs",
    )  # fmt: skip


@pytest.mark.parametrize("arguments", [["helo"], ["plan", "--no-such"], ["usage", "exprt"], []], ids=" ".join)
def test_a_wrong_call_exits_1(arguments: list[str]) -> None:
    """The usual 2 would read as BLOCK in a pipeline."""
    command = [sys.executable, "-m", "scripts.crossover", *arguments]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode == 1


def test_help_imports_no_library_of_a_command() -> None:
    """It is what a person types first, and asks for no verdict and no cloud."""
    code = (
        "import sys\nfrom scripts.crossover.__main__ import app\n"
        "try: app(['--help'], prog_name='crossover')\n"
        f"finally: print(sorted({{m.partition('.')[0] for m in sys.modules}} & set({HEAVY})), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize("verb", every(), ids=lambda verb: verb.module.removeprefix(f"{COMMANDS}."))
def test_every_command_says_what_it_does_and_loads(verb: Verb) -> None:
    assert verb.help
    assert verb.loaded().help == verb.help


def test_a_command_runs_with_the_garbage_collector_on(copied: Path, crossover: Crossover) -> None:
    """Off while it is imported, that the start is short; an import of years of usage must not keep its garbage."""
    code = "import gc\n\nWHILE = gc.isenabled()\n\n\ndef command() -> None:\n    print(WHILE, gc.isenabled())\n"
    (copied / "scripts" / "crossover" / "commands" / "collecting.py").write_text(f'"""Tells."""\n\n{code}')
    assert crossover("collecting").stdout == "False True\n"
