"""A bundle below systemd: this computer's own, as process 1 of a sandbox."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from images.bundle import Bundle
from images.remote.errors import RemoteError
from images.remote.host import Placement
from images.remote.ssh import Connection
from images.remote.waiting import Watch
from images.vehicles.ssh.health import Health, inspect
from images.vehicles.ssh.install import InstallReport, install
from images.vehicles.ssh.remove import remove
from providers.renting.firstboot import user_data
from providers.renting.hostkeys import one_use
from tests.clouds.server import Boot
from tests.integration.images.conftest import SECRET, echo, tiny_bundle
from tests.support import sandbox_systemd
from tests.support.sandbox import CACHE, sandboxes
from tests.support.sshd import make_key, public_key, wait_for

PORTS = {"one": 8001, "two": 8002}


@dataclass(frozen=True)
class Node:
    """A sandbox with systemd, and the ports of the tiny bundle."""

    placement: Placement
    private_key: str

    def install(self, bundle: Bundle) -> InstallReport:
        return install(
            self.placement, bundle, {"api-key": SECRET}, self.private_key,
            say=print, cancelled=lambda: False, deadline_s=90, connect_within_s=30,
        )  # fmt: skip

    def inspect(self, bundle: Bundle) -> Health:
        return inspect(self.placement, bundle, {"api-key": SECRET}, self.private_key)

    def run(self, script: str) -> str:
        """What the script says there."""
        with Connection.open(self.placement, self.private_key) as connection:
            return connection.run(script, watch=Watch(30, lambda: False), step="asking").stdout.strip()

    def get(self, service: str) -> dict[str, Any]:
        """What the service says of itself; {} where nothing answers."""
        try:
            with urllib.request.urlopen(f"http://{self.placement.address}:{PORTS[service]}/", timeout=5) as answer:
                value: dict[str, Any] = json.load(answer)
                return value
        except OSError:
            return {}


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    if reason := sandbox_systemd.missing():
        pytest.skip(reason)
    with sandboxes() as host:
        key = make_key(tmp_path / "key")
        host_key = one_use(key, "node")
        order = Boot("node", (public_key(tmp_path / "key"),), user_data(host_key), ports=(22, *PORTS.values()))
        placement = Placement(
            host.boot(order, systemd=True).address, 22, "ubuntu", host_key.public, "/opt/crossover", CACHE, "0.0.0.0",
            PORTS, supervision="systemd",
        )  # fmt: skip
        yield Node(placement, key)


def test_units_are_started_reloaded_restarted_and_revived(node: Node) -> None:
    """As below the supervisor: what a change disturbs is what it must; what dies comes back; health tells the rest."""
    report = node.install(tiny_bundle())
    assert (report.restarted, report.checks) == (("one", "two"), ("one", "two"))
    assert node.run("systemctl is-enabled crossover-tiny-one crossover-tiny-two") == "enabled\nenabled"
    report = node.install(tiny_bundle())
    assert (report.changed_files, report.transferred_bytes, report.restarted) == ((), 0, ())
    one, two = node.get("one")["pid"], node.get("two")["pid"]
    report = node.install(tiny_bundle(one="changed", two="changed"))
    assert (report.restarted, report.reloaded) == (("one",), ("two",))
    wait_for(lambda: node.get("two").get("text") == "changed", "the signal")
    assert (node.get("one")["text"], node.get("two")["pid"]) == ("changed", two)
    before = node.get("one")["pid"]
    assert before != one
    node.run(f"kill -KILL {before}")
    wait_for(lambda: node.get("one").get("pid", before) != before, "a new process")
    assert node.inspect(tiny_bundle("changed", "changed")).healthy
    node.run("systemctl stop crossover-tiny-two")
    problems = node.inspect(tiny_bundle("changed", "changed")).problems
    assert any("two" in problem for problem in problems), problems


def test_a_unit_that_does_not_start_is_told_with_its_journal_and_without_its_secret(node: Node) -> None:
    bundle = tiny_bundle(one="refuse")
    checks = (replace(bundle.checks[0], deadline_s=5), *bundle.checks[1:])
    with pytest.raises(RemoteError) as caught:
        node.install(replace(bundle, checks=checks))
    assert "refusing to start" in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_unit_that_is_not_wanted_any_more_goes_and_removal_takes_all(node: Node) -> None:
    node.install(tiny_bundle())
    whole = tiny_bundle()
    node.install(replace(whole, services=(echo("one"),), checks=whole.checks[:1], files=whole.files[:1]))
    assert node.get("two") == {}
    listed = "systemctl list-unit-files 'crossover-*' --no-legend --plain | cut -d ' ' -f 1"
    assert node.run(listed) == "crossover-tiny-one.service"
    assert remove(node.placement, whole, node.private_key)
    assert node.get("one") == {}
    assert node.run(listed) == ""
