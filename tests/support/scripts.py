"""A checkout that holds nothing but copies of the shell scripts, and programs on PATH that only pretend."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.eventually import eventually
from tests.support.processes import alive as alive

CHECKOUT = Path(__file__).resolve().parents[2]
LONGEST_S = 240
"""A command takes: the engine's own, on a computer that others use too."""


@dataclass
class Sandbox:
    """`root` is the checkout; `tools` comes first on PATH; `home` is empty."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict)
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for folder in (self.root / "scripts" / "engine", self.tools, self.home):
            folder.mkdir(parents=True)
        for name in ("lib.sh", "bootstrap", "system-packages", "pulumi", "stack-init", "up", "down", "recover"):
            shutil.copy(CHECKOUT / "scripts" / name, self.root / "scripts" / name)
        shutil.copy(CHECKOUT / "scripts" / "engine" / "install", self.root / "scripts" / "engine" / "install")

    @property
    def root(self) -> Path:
        return self.folder / "checkout"

    @property
    def tools(self) -> Path:
        return self.folder / "tools"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PULUMI_", "XDG_", "GO"))}
        return {**kept, "HOME": str(self.home), "PATH": f"{self.tools}:/usr/bin:/bin:/usr/sbin:/sbin", **self.env}

    def tool(self, name: str, script: str) -> None:
        """A program called `name`, first on PATH, whose shell script this is."""
        self.write(self.tools / name, script)

    def write(self, path: Path, script: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/bash\n{script}\n")
        path.chmod(0o755)

    def start(self, *command: str, aside: int = subprocess.STDOUT) -> subprocess.Popen[str]:
        """The command in a process group of its own, at the checkout's root, with all output on one pipe, or what it
        says to a person `aside`."""
        process = subprocess.Popen(
            command,
            cwd=self.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=aside,
            text=True,
            process_group=0,
        )
        self.started.append(process)
        return process

    def end(self) -> None:
        """Kill what a failed test left."""
        for process in self.started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def run(self, *command: str, status: int | None = 0) -> str:
        """The command's output; asserts its exit status, where None is any failure."""
        process = self.start(*command)
        output, _ = process.communicate(timeout=LONGEST_S)
        assert process.returncode == status if status is not None else process.returncode, output
        return output

    def told(self, *command: str) -> str:
        """What a program reads of a command that must succeed: its standard output alone."""
        process = self.start(*command, aside=subprocess.PIPE)
        output, said = process.communicate(timeout=LONGEST_S)
        assert process.returncode == 0, output + said
        return output

    def bash(self, script: str, status: int = 0) -> str:
        """What bash makes of `script` at the checkout's root."""
        return self.run("bash", "-c", f"set -euo pipefail\n{script}", status=status)


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """One that leaves no process behind."""
    sandbox = Sandbox(tmp_path)
    yield sandbox
    sandbox.end()


def until(process: subprocess.Popen[str], condition: Callable[[], bool]) -> None:
    """Returns once the process, which lives on meanwhile, has made the condition true."""

    def met() -> bool:
        assert process.poll() is None, f"{process.args!r} ended with {process.returncode}"
        return condition()

    eventually(met, f"{process.args!r} has come so far")
