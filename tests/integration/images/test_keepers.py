"""The keepers of services, held to one promise: supervisor on a machine of this computer, and this computer's own
systemd as process 1 of a sandbox."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from images.bundle import Bundle
from images.remote.connection import Connection
from images.remote.errors import RemoteError
from images.remote.host import Host
from images.remote.waiting import Waiting
from images.sources import REPOSITORY
from images.vehicles.ssh import remove
from images.vehicles.ssh.inspect import Health, inspect
from images.vehicles.ssh.install import InstallReport, install
from images.vehicles.ssh.keepers.choice import KEEPERS
from images.vehicles.ssh.layout.layout import SUPERVISOR_ENVIRONMENT, layout_for
from providers.renting.firstboot import user_data
from providers.renting.hostkeys import one_use
from tests.clouds.server import Boot
from tests.integration.images.conftest import SECRET, Bench, echo, tiny_bundle
from tests.support import sandbox_systemd
from tests.support.sandbox import CACHE, sandboxes
from tests.support.sshd import make_key, public_key, wait_for

PORTS = {"one": 8001, "two": 8002}


@dataclass(frozen=True)
class Node:
    """A machine with the ports of the tiny bundle, and how a person there speaks to its keeper."""

    host: Host
    private_key: str
    stop_two: str
    listed: str
    """Says which services the keeper knows, one a line."""

    def install(self, bundle: Bundle) -> InstallReport:
        return install(
            self.host, bundle, {"api-key": SECRET}, self.private_key,
            say=print, cancelled=lambda: False, deadline_s=90, connect_within_s=30,
        )  # fmt: skip

    def inspect(self, bundle: Bundle) -> Health:
        return inspect(self.host, bundle, {"api-key": SECRET}, self.private_key)

    def run(self, script: str) -> str:
        """What the script says there."""
        with Connection.open(self.host, self.private_key) as connection:
            return connection.run(script, watch=Waiting(30, lambda: False), step="asking").stdout.strip()

    def services(self) -> list[str]:
        return self.run(self.listed).split()

    def get(self, service: str) -> dict[str, Any]:
        """What the service says of itself; {} where nothing answers."""
        url = f"http://{self.host.address}:{self.host.ports[service]}/"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                value: dict[str, Any] = json.load(answer)
                return value
        except OSError:
            return {}


def with_systemd(tmp_path: Path) -> Iterator[Node]:
    if reason := sandbox_systemd.missing():
        pytest.skip(reason)
    with sandboxes() as sandboxed:
        key = make_key(tmp_path / "key")
        host_key = one_use(key, "node")
        order = Boot("node", (public_key(tmp_path / "key"),), user_data(host_key), ports=(22, *PORTS.values()))
        host = Host(
            sandboxed.boot(order, systemd=True).address, 22, "ubuntu", host_key.public,
            "/opt/crossover", CACHE, "0.0.0.0", PORTS, supervision="systemd",
        )  # fmt: skip
        units = "systemctl list-unit-files 'crossover-tiny-*' --state=enabled --no-legend --plain"
        named = "sed 's/crossover-tiny-//; s/[.]service.*//'"
        yield Node(host, key, "systemctl stop crossover-tiny-two", f"{units} | {named}")


def with_supervisor(bench: Bench) -> Iterator[Node]:
    host = bench.host
    folder = layout_for(host, tiny_bundle(), REPOSITORY).folder(SUPERVISOR_ENVIRONMENT)
    control = f"cd {host.root} && {folder}/bin/supervisorctl -c supervisor/supervisord.conf"
    listed = f"[ ! -S {host.root}/run/supervisor.sock ] || {{ {control} status | cut -d ' ' -f 1; }}"
    yield Node(host, bench.machine.private_key, f"{control} stop two", listed)


@pytest.fixture(params=sorted(KEEPERS))
def node(request: pytest.FixtureRequest, new_bench: Callable[..., Bench], tmp_path: Path) -> Iterator[Node]:
    made = {"systemd": lambda: with_systemd(tmp_path), "supervisor": lambda: with_supervisor(new_bench())}
    yield from made[request.param]()


def test_services_are_started_reloaded_restarted_and_revived(node: Node) -> None:
    """What a change disturbs is what it must; what dies comes back; a look tells the rest."""
    report = node.install(tiny_bundle())
    assert (report.restarted, report.checks) == (("one", "two"), ("one", "two"))
    assert node.services() == ["one", "two"]
    one, two = node.get("one")["pid"], node.get("two")["pid"]
    report = node.install(tiny_bundle())
    assert (report.changed_files, report.transferred_bytes, report.restarted) == ((), 0, ())
    assert (node.get("one")["pid"], node.get("two")["pid"]) == (one, two)
    report = node.install(tiny_bundle(one="changed", two="changed"))
    assert (report.restarted, report.reloaded) == (("one",), ("two",))
    wait_for(lambda: node.get("two").get("text") == "changed", "the signal")
    assert (node.get("one")["text"], node.get("two")["pid"]) == ("changed", two)
    before = node.get("one")["pid"]
    assert before != one
    node.run(f"kill -KILL {before}")
    wait_for(lambda: node.get("one").get("pid", before) != before, "a new process")
    # supervisord calls it STARTING until it has lived for a while.
    wait_for(lambda: node.inspect(tiny_bundle("changed", "changed")).healthy, "a healthy service")


def test_a_service_that_somebody_stopped_is_told_and_started_by_the_next_install(node: Node) -> None:
    node.install(tiny_bundle())
    node.run(node.stop_two)
    problems = node.inspect(tiny_bundle()).problems
    assert any("two" in problem for problem in problems), problems
    assert node.install(tiny_bundle()).restarted == ("two",)
    assert node.get("two")["text"] == "second"


def test_a_service_that_does_not_start_is_told_with_its_log_and_without_its_secret(node: Node) -> None:
    bundle = tiny_bundle(one="refuse")
    checks = (replace(bundle.checks[0], deadline_s=5), *bundle.checks[1:])
    with pytest.raises(RemoteError) as caught:
        node.install(replace(bundle, checks=checks))
    assert "refusing to start" in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_service_that_is_not_wanted_any_more_goes_and_removal_takes_all(node: Node) -> None:
    node.install(tiny_bundle())
    one, whole = node.get("one")["pid"], tiny_bundle()
    node.install(replace(whole, services=(echo("one"),), checks=whole.checks[:1], files=whole.files[:1]))
    assert node.get("two") == {}
    assert (node.services(), node.get("one")["pid"]) == (["one"], one)
    assert remove(node.host, whole, node.private_key)
    assert node.get("one") == {}
    assert node.services() == []
