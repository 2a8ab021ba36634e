"""A second clone of the project beside this one: its own state, machines and ports, the same environment and engine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import yaml

from providers.base import Machine
from providers.clouds.local.client import LocalClient
from providers.clouds.local.cloud import LocalCloud
from tests.support.ports import local_config, local_range
from tests.support.processes import end_strays

REPOSITORY = Path(__file__).resolve().parents[2]
PREFIX = "crossover:"


def printed(process: subprocess.Popen[str], aside: IO[str], timeout_s: float, *, fails: bool = False) -> str:
    """What a program reads of it: standard output. What it says to a person went `aside`, and is in the failure.
    Asserts that it succeeded, or failed."""
    output = ended(process, timeout_s)
    aside.seek(0)
    assert (process.returncode != 0) == fails, output + aside.read()
    return output


def told(process: subprocess.Popen[str], aside: IO[str], timeout_s: float, *, fails: bool = False) -> Any:
    """The same as JSON."""
    output = printed(process, aside, timeout_s, fails=fails)
    try:
        return json.loads(output)
    except ValueError as e:
        aside.seek(0)
        raise AssertionError(f"{process.args!r} printed no JSON ({e}):\n{output}{aside.read()}") from None


def ended(process: subprocess.Popen[str], timeout_s: float) -> str:
    """All that the process says until it ends. One that does not is ended, and what it said is in the failure."""
    try:
        return process.communicate(timeout=timeout_s)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            output = process.communicate(timeout=20)[0]
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output = process.communicate()[0]
        raise AssertionError(f"{process.args!r} did not end in {timeout_s:g} s:\n{output}") from None


TODAY = "2026-11-23"
"""The day of every copy: the catalogue's prices age, and block half a year later."""


@dataclass
class Checkout:
    """`folder` holds the copy. Its own code runs, because PYTHONPATH comes before the editable install."""

    folder: Path
    stack: str = "local"
    variables: dict[str, str] = field(default_factory=dict)
    """Added to the environment of every command."""
    leaves: str = ""
    """In the command of processes that a plugin of others leaves behind: they are ended after each of ours."""
    timeout_s: float = 240
    """How long a command may take."""

    @classmethod
    def make(cls, stack: str = "local", root: Path = REPOSITORY) -> Checkout:
        """Copies what git would: tracked files, and new ones that it does not ignore. `root` is this project, or the
        work tree of another commit."""
        folder = Path(tempfile.mkdtemp(prefix="xo-"))  # short: machines hold Unix sockets
        listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
        for name in subprocess.check_output(listing, cwd=root, text=True).splitlines():
            if (root / name).is_file() or (root / name).is_symlink():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(root / name, folder / name, follow_symlinks=False)
        (folder / ".venv").symlink_to(REPOSITORY / ".venv")
        (folder / ".state").mkdir()
        if (REPOSITORY / ".state" / "bin").is_dir():
            shutil.copytree(REPOSITORY / ".state" / "bin", folder / ".state" / "bin", symlinks=True)
        return cls(folder, stack)

    @property
    def environment(self) -> dict[str, str]:
        dropped = ("PULUMI_", "CROSSOVER_")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(dropped)}
        paths = f"{self.folder / 'policies'}:{self.folder}"
        return {**kept, **local_range(), "PYTHONPATH": paths, "CROSSOVER_TODAY": TODAY, **self.variables}

    def start(
        self, *command: str, aside: IO[str] | int = subprocess.STDOUT, **environment: str
    ) -> subprocess.Popen[str]:
        """In a process group of its own, with all output on one pipe, or what it says to a person `aside`."""
        return subprocess.Popen(
            [str(self.folder / command[0]), *command[1:]],
            cwd=self.folder,
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=aside,
            text=True,
            start_new_session=True,
        )

    def run(self, *command: str, fails: bool = False, **environment: str) -> str:
        """The output. Asserts that the command succeeded, or failed."""
        process = self.start(*command, aside=subprocess.STDOUT, **environment)
        output = ended(process, self.timeout_s)
        self._end_strays()
        assert (process.returncode != 0) == fails, output
        return output

    def _end_strays(self) -> None:
        if self.leaves:
            end_strays(self.folder / ".state" / "pulumi", self.leaves)

    def printed(self, *command: str, **environment: str) -> str:
        """What a program reads of it, without a word that Python or a library may add for a person. Asserts that the
        command succeeded, and warned of nothing."""
        with tempfile.TemporaryFile("w+") as aside:
            output = printed(self.start(*command, aside=aside, **environment), aside, self.timeout_s)
            aside.seek(0)
            said = aside.read()
        assert not [word for word in ("Traceback", "warning:") if word in said], said
        return output

    def told(self, *command: str, fails: bool = False, **environment: str) -> Any:
        """The same as JSON. Asserts that the command succeeded, or failed."""
        with tempfile.TemporaryFile("w+") as aside:
            process = self.start(*command, aside=aside, **environment)
            made = told(process, aside, self.timeout_s, fails=fails)
        self._end_strays()
        return made

    def pulumi(self, *arguments: str, fails: bool = False, **environment: str) -> str:
        return self.run("scripts/pulumi", *arguments, "--color=never", "--non-interactive", fails=fails, **environment)

    def up(self, *arguments: str, fails: bool = False, **environment: str) -> str:
        """Straight to work, as CI would that had shown the preview before."""
        return self.pulumi("up", "-s", self.stack, "--yes", "--skip-preview", *arguments, fails=fails, **environment)

    def init(self) -> None:
        self.run("scripts/stack-init", self.stack)

    def configure(self, change: dict[str, Any]) -> None:
        """Sets keys of the stack's configuration, "workload.tokensPerMonth": 5e8, below `crossover:`. None removes."""
        path = self.folder / "stacks" / "config" / f"Pulumi.{self.stack}.yaml"
        document = yaml.safe_load(path.read_text())
        for dotted, value in change.items():
            first, *rest = dotted.split(".")
            keys = [PREFIX + first, *rest]
            place = document["config"]
            for key in keys[:-1]:
                place = place.setdefault(key, {})
            if value is None:
                place.pop(keys[-1], None)
            else:
                place[keys[-1]] = value
        path.write_text(yaml.safe_dump(document))

    def reset(self) -> None:
        """The committed configuration again."""
        name = f"stacks/config/Pulumi.{self.stack}.yaml"
        shutil.copy2(REPOSITORY / name, self.folder / name)

    def outputs(self) -> dict[str, Any]:
        values: dict[str, Any] = self.told(
            "scripts/pulumi", "stack", "output", "--json", "--show-secrets", "-s", self.stack
        )
        return values

    def state(self) -> dict[str, Any]:
        exported: dict[str, Any] = self.told("scripts/pulumi", "stack", "export", "-s", self.stack)
        return exported

    @property
    def cloud(self) -> LocalCloud:
        state = self.folder / ".state"
        return LocalCloud(LocalClient(local_config(state / "local", state / "cache")))

    @property
    def machines(self) -> dict[str, Machine]:
        """By the node's key."""
        return {machine.owner.key: machine for machine in self.cloud.list() if machine.owner is not None}

    def discard(self) -> None:
        """Ends every machine, whatever the state says, and removes the folder."""
        for machine in self.cloud.list():
            self.cloud.terminate(machine.id)
        shutil.rmtree(self.folder, ignore_errors=True)
