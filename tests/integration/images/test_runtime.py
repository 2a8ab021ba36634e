"""How vLLM gets onto a machine, over a real sshd: by an environment, with a container's image, or with the machine.

vLLM and `nvidia-smi` are those of tests/support/fake_vllm.py; all else is what a node has.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from images.bundle import Bundle, RuntimeKind
from images.engines import vllm
from images.engines.common.base import EngineOptions
from images.remote.connection import Connection
from images.remote.errors import MissingProgram, Unreachable, UnsuitableMachine
from images.remote.host import Host
from images.remote.waiting import Waiting
from images.roles.inference.bundle import inference_bundle
from images.sources import repository_source
from images.vehicles.ssh.install import InstallReport, install
from providers.renting import firstboot
from providers.renting.firstboot import user_data
from providers.renting.hostkeys import one_use
from tests.clouds.server import Boot, Booted
from tests.support import fake_vllm
from tests.support.credentials import Made
from tests.support.eventually import eventually
from tests.support.fake_vllm import FakeVllm
from tests.support.sandbox import CACHE, Sandboxes, sandboxes
from tests.support.sshd import make_key, public_key

OPTIONS = EngineOptions(model="tiny", served_names=("tiny-served",), shutdown_timeout_s=1)
NAME = "a.nodes.crossover.internal"


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeVllm]:
    with pytest.MonkeyPatch.context() as patch:
        yield fake_vllm.prepare(tmp_path_factory.mktemp("wheel"), patch)


@pytest.fixture
def host(fake: FakeVllm) -> Iterator[Sandboxes]:
    with sandboxes(fake.cache) as made:
        made.files = fake_vllm.files()
        made.image = fake.image
        yield made


class Machine:
    """One machine, and who installs on it."""

    def __init__(self, host: Sandboxes, folder: Path, *, container: bool) -> None:
        self.key, self.made = make_key(folder / "key"), Made.of(NAME)
        self.host_key = one_use(self.key, "node")
        self.user = "root" if container else "ubuntu"
        self.said: list[str] = []
        self.booted = self._container(host, folder) if container else self._vm(host, folder)

    def _container(self, host: Sandboxes, folder: Path) -> Booted:
        environment = firstboot.environment(public_key(folder / "key"), self.host_key.private)
        order = Boot("node", command=("sh", "-c", firstboot.ENTRY), environment=environment, ports=(22, 8000))
        return host.boot(order)

    def _vm(self, host: Sandboxes, folder: Path) -> Booted:
        keys = (public_key(folder / "key"),)
        return host.boot(Boot("node", authorized_keys=keys, user_data=user_data(self.host_key), ports=(22, 8000)))

    @property
    def at(self) -> Host:
        return Host(
            self.booted.address, self.booted.ports[22], self.user, self.host_key.public, "/opt/crossover", CACHE,
            "0.0.0.0", {"ssh": 22, "vllm": 8000}, supervision="supervisor", server_name=NAME,
        )  # fmt: skip

    def install(self, bundle: Bundle) -> InstallReport:
        return install(
            self.at, bundle, self.made.secrets(NAME), self.key,
            say=self.said.append, cancelled=lambda: False, deadline_s=150,
        )  # fmt: skip

    def _connected(self) -> Connection | None:
        try:
            return Connection.open(self.at, self.key)
        except Unreachable:
            return None

    def run(self, script: str) -> str:
        """What the script says on the machine, in an SSH session."""
        with eventually(self._connected, "its sshd answers") as connection:
            return connection.run(script, watch=Waiting(30), step="a look").stdout

    def bundle(self, kind: RuntimeKind, fake: FakeVllm, folder: Path) -> Bundle:
        """The node's, with the stand-in's lock in place of vLLM's. A VM's GPUs and packages are for other tests."""
        made = inference_bundle(vllm.ENGINE, OPTIONS, self.made.ca, kind)
        if kind != "environment":
            return made
        (folder / "vllm.txt").write_text(fake.lock)
        [environment] = made.environments
        lock = repository_source("requirements/vllm.txt", str(folder / "vllm.txt"))
        return replace(made, environments=(replace(environment, requirements=lock),), gpu=None, programs=())


SERVES = "pgrep -f 'vllm serve' | head -n 1"
"""The process that serves."""


def test_an_image_s_vllm_is_found_and_gets_what_the_image_sets(host: Sandboxes, fake: FakeVllm, tmp_path: Path) -> None:
    """Neither its PATH nor its variables are in an SSH session; what the vendor was told is no business of vLLM's."""
    machine = Machine(host, tmp_path, container=True)
    report = machine.install(machine.bundle("image", fake, tmp_path))
    assert {name: report.found[name] for name in ("runtime", "vllm")} == {"runtime": "image", "vllm": fake_vllm.VERSION}
    assert report.found["driver"] == fake_vllm.DRIVER
    assert "LD_LIBRARY_PATH" not in machine.run("env")
    given = machine.run(f"tr '\\0' '\\n' </proc/$({SERVES})/environ").splitlines()
    assert f"LD_LIBRARY_PATH={fake_vllm.LD_LIBRARY_PATH}" in given
    assert "VLLM_USAGE_SOURCE=production-docker-image" in given
    assert [line for line in given if line.startswith(firstboot.HOST_KEY)] == []
    assert "HF_HOME=/opt/crossover/models" in given
    again = machine.install(machine.bundle("image", fake, tmp_path))
    assert (again.transferred_bytes, again.restarted, again.found) == (0, (), report.found)


def test_an_environment_is_vllm_s_own(host: Sandboxes, fake: FakeVllm, tmp_path: Path) -> None:
    """And what it turned out to have is told."""
    machine = Machine(host, tmp_path, container=False)
    report = machine.install(machine.bundle("environment", fake, tmp_path))
    assert report.found["runtime"] == "environment"
    assert report.found["vllm"] == fake_vllm.VERSION
    assert report.found["python"].startswith("3.")
    assert f"{fake.environment}/bin/vllm serve tiny" in machine.run(f"tr '\\0' ' ' </proc/$({SERVES})/cmdline")


def test_a_machine_s_own_vllm_serves_as_its_owner_installed_it(host: Sandboxes, fake: FakeVllm, tmp_path: Path) -> None:
    host.files |= {"usr/local/bin/vllm": (f'#!/bin/sh\nexec {fake.environment}/bin/vllm "$@"\n', 0o755)}
    machine = Machine(host, tmp_path, container=False)
    report = machine.install(machine.bundle("machine", fake, tmp_path))
    assert report.found["runtime"] == "machine"
    assert report.found["vllm"].startswith(fake_vllm.VERSION)  # by asking it: its package is not to be seen


def test_a_vllm_that_is_too_old_or_absent_is_refused_before_anything_starts(
    host: Sandboxes, fake: FakeVllm, tmp_path: Path
) -> None:
    host.files |= {"usr/local/bin/vllm": ("#!/bin/sh\necho 0.28.1\n", 0o755)}
    machine = Machine(host, tmp_path, container=False)
    bundle = machine.bundle("machine", fake, tmp_path)
    with pytest.raises(UnsuitableMachine, match=r"its vllm is 0\.28\.1, and 0\.29\.0 or newer is needed"):
        machine.install(bundle)
    machine.run("rm /usr/local/bin/vllm")
    with pytest.raises(MissingProgram, match=r"vllm is not there: install it there, or set serving\.runtime"):
        machine.install(bundle)
    assert json.loads(machine.run("test -e /opt/crossover/run && echo true || echo false")) is True
    assert machine.run("ls /opt/crossover/run") == ""


def test_a_container_whose_gpus_share_too_little_memory_is_refused(
    host: Sandboxes, fake: FakeVllm, tmp_path: Path
) -> None:
    """docker's default, which a vendor may have left."""
    machine = Machine(host, tmp_path, container=True)
    machine.run("mount -o remount,size=64m /dev/shm")
    with pytest.raises(UnsuitableMachine, match="/dev/shm holds 64 MiB, and the GPUs of one model need 1024 MiB"):
        machine.install(machine.bundle("image", fake, tmp_path))
