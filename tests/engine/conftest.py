"""A throwaway Pulumi project per test: real engine, real plugin process, own backend, own local machines."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pytest

from providers.clouds.local.client import LocalClient
from providers.clouds.local.cloud import LocalCloud
from tests.support.checkout import ended, told
from tests.support.ports import local_config, local_range
from tests.support.processes import end_strays

REPOSITORY = Path(__file__).resolve().parents[2]
PLUGIN = Path(__file__).parent / "plugin"


@dataclass
class Project:
    """`program` is Python source; `env` is added to the environment of every command."""

    folder: Path
    plugin: Path = PLUGIN
    env: dict[str, str] = field(default_factory=dict)
    leaves: str = ""
    """In the command of processes that a plugin of others leaves behind: they are ended after each of ours."""

    @property
    def backend(self) -> Path:
        return self.folder / "backend"

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PATH": f"{REPOSITORY}/.state/bin:{REPOSITORY}/.venv/bin:{os.environ['PATH']}",
            "PULUMI_HOME": str(self.folder / "home"),
            "PULUMI_BACKEND_URL": f"file://{self.backend}",
            "PULUMI_CONFIG_PASSPHRASE": "correct horse",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "CROSSOVER_LOCAL_STATE": str(self.folder / "local"),
            **local_range(),
            "INSTALL_LOG": str(self.folder / "installs"),
            **self.env,
        }

    def prepare(self) -> None:
        self.backend.mkdir()
        self.use_plugin(self.plugin)
        self.program("")
        self.run("stack", "init", "test")

    def use_plugin(self, folder: Path) -> None:
        """Takes the resource plugin from this folder from here on."""
        self.plugin = folder
        (self.folder / "Pulumi.yaml").write_text(
            json.dumps(
                {
                    "name": "engine-test",
                    "runtime": {"name": "python", "options": {"virtualenv": sys.prefix}},
                    "plugins": {"providers": [{"name": "gpucloud", "path": str(folder)}]},
                }
            )
        )

    def program(self, source: str) -> None:
        (self.folder / "__main__.py").write_text(textwrap.dedent(source))

    def start(self, *arguments: str, aside: IO[str] | int = subprocess.STDOUT) -> subprocess.Popen[str]:
        """In a process group of its own, with all output on one pipe, or what it says to a person `aside`."""
        return subprocess.Popen(
            ["pulumi", "-C", str(self.folder), *arguments, "--color=never", "--non-interactive"],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=aside,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, fails: bool = False, timeout_s: float = 240) -> str:
        """The command's output. Asserts that it succeeded, or failed."""
        process = self.start(*arguments)
        output = ended(process, timeout_s)
        if self.leaves:
            end_strays(self.backend, self.leaves)
        assert (process.returncode != 0) == fails, output
        return output

    def told(self, *arguments: str, timeout_s: float = 240) -> Any:
        """What a program reads of it, as JSON. Asserts that it succeeded."""
        with tempfile.TemporaryFile("w+") as aside:
            return told(self.start(*arguments, aside=aside), aside, timeout_s)

    def up(self, *arguments: str, fails: bool = False) -> str:
        return self.run("up", "--yes", "--skip-preview", *arguments, fails=fails)

    def state(self) -> list[dict[str, Any]]:
        """Every resource in the state but the stack and its providers."""
        exported = self.told("stack", "export")
        return [r for r in exported["deployment"].get("resources", []) if not r["type"].startswith("pulumi:")]

    def resource(self, name: str) -> dict[str, Any]:
        return next(r for r in self.state() if r["urn"].endswith(f"::{name}"))

    @property
    def cloud(self) -> LocalCloud:
        return LocalCloud(LocalClient(local_config(self.folder / "local", self.folder / "cache")))

    @property
    def machines(self) -> dict[str, str]:
        """Machine name → id, as the cloud has them."""
        return {m.name: m.id for m in self.cloud.list()}

    @property
    def installs(self) -> list[str]:
        """What the stub installer was asked to do, in order."""
        path = self.folder / "installs"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def project() -> Iterator[Project]:
    if shutil.which("pulumi", path=f"{REPOSITORY}/.state/bin:{os.environ['PATH']}") is None:
        pytest.fail("no Pulumi engine: run scripts/bootstrap")
    # A short path, because machines hold Unix sockets.
    folder = Path(tempfile.mkdtemp(prefix="xo-"))
    result = Project(folder)
    result.prepare()
    try:
        yield result
    finally:
        for machine in result.cloud.list():
            result.cloud.terminate(machine.id)
        shutil.rmtree(folder, ignore_errors=True)
