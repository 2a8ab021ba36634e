"""`scripts/pulumi`, asked: which stacks there are, which is selected, and whatever else the engine knows."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Annotated

import typer
import yaml

from images.sources import REPOSITORY
from scripts.crossover.shell.output import failing

STATE = REPOSITORY / ".state"


class StackError(Exception):
    """The stack cannot be read, or is not up. The message says what to do."""


def pulumi(*arguments: str, timeout_s: float | None = 120.0) -> str:
    """What scripts/pulumi says on standard output. Raises StackError with its own words where it fails."""
    command = [str(REPOSITORY / "scripts" / "pulumi"), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        raise StackError(
            f"{' '.join(arguments)} did not answer in {timeout_s:g} s: is the backend reachable?"
        ) from None
    if done.returncode != 0:
        raise StackError(done.stderr.strip() or done.stdout.strip())
    return done.stdout


def stacks() -> list[str]:
    """All stacks of the project in this backend. Raises StackError."""
    return [stack["name"] for stack in json.loads(pulumi("stack", "ls", "--json"))]


IN_ADDRESS = str.maketrans({"%": "%25", "#": "%23", "?": "%3F"})
"""As scripts/pulumi writes a folder into the address of its backend."""


def seen_by_the_plugin() -> dict[str, str]:
    """The environment by which the plugin finds what a stack keeps on this computer beside its state."""
    return {**os.environ, "PULUMI_BACKEND_URL": backend()}


def project() -> str:
    """The project's name, as machines carry it in their mark."""
    name: str = yaml.safe_load((REPOSITORY / "Pulumi.yaml").read_text())["name"]
    return name


def backend() -> str:
    """Where scripts/pulumi keeps states, as PULUMI_BACKEND_URL says it: this checkout's own, unless one is given."""
    return os.environ.get("PULUMI_BACKEND_URL") or f"file://{str(STATE).translate(IN_ADDRESS)}/pulumi"


def selected() -> str:
    """The stack that `scripts/pulumi` acts on where none is named: that of PULUMI_STACK or of `stack select`; "local"
    where none is selected.

    The engine is not asked, but the file that it keeps for this checkout is read: by backend, the full name.
    """
    given = os.environ.get("PULUMI_BACKEND_URL")
    home = os.environ.get("PULUMI_HOME") or (Path.home() / ".pulumi" if given else STATE / "pulumi-home")
    digest = hashlib.sha1(str(REPOSITORY / "Pulumi.yaml").encode(), usedforsecurity=False).hexdigest()
    file = Path(home) / "workspaces" / f"{project()}-{digest}-workspace.json"
    name = os.environ.get("PULUMI_STACK")
    if not name:
        # No file, or one that is just being written: none is selected.
        with suppress(OSError, ValueError):
            stacks = json.loads(file.read_text("utf-8")).get("stacks") or {}
            name = stacks.get(backend())
    return (name or "local").removeprefix(f"organization/{project()}/")


Stack = Annotated[
    str,
    typer.Option(
        "--stack",
        "-s",
        default_factory=selected,
        show_default="the selected one, else local",
        help="The stack's name.",
    ),
]


def reading() -> AbstractContextManager[None]:
    """A stack that cannot be read ends the command with exit code 1 and the reason."""
    return failing(StackError)
