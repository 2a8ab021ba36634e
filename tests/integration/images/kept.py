"""A machine with the tiny bundle's ports, under either keeper."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from images.bundle import Bundle
from images.remote.connection import Connection
from images.remote.host import Host
from images.remote.waiting import Waiting
from images.sources import REPOSITORY
from images.vehicles.ssh.inspect import Health, inspect
from images.vehicles.ssh.install import InstallReport, install
from images.vehicles.ssh.layout.layout import SUPERVISOR_ENVIRONMENT, layout_for
from providers.renting.firstboot import user_data
from providers.renting.hostkeys import one_use
from tests.clouds.server import Boot
from tests.integration.images.conftest import SECRET, Bench, tiny_bundle
from tests.support import sandbox_systemd
from tests.support.sandbox import CACHE, sandboxes
from tests.support.sshd import make_key, public_key

PORTS = {"one": 8001, "two": 8002}


@dataclass(frozen=True)
class Node:
    """A machine with the ports of the tiny bundle, and how a person there speaks to its keeper."""

    host: Host
    private_key: str
    stop_two: str
    listed: str
    """Says which services the keeper knows, one a line."""

    def install(self, bundle: Bundle, say: Callable[[str], None] = print) -> InstallReport:
        return install(
            self.host, bundle, {"api-key": SECRET}, self.private_key,
            say=say, cancelled=lambda: False, deadline_s=240, connect_within_s=60,
        )  # fmt: skip

    def inspect(self, bundle: Bundle) -> Health:
        return inspect(self.host, bundle, {"api-key": SECRET}, self.private_key)

    def run(self, script: str) -> str:
        """What the script says there."""
        with Connection.open(self.host, self.private_key) as connection:
            return connection.run(script, watch=Waiting(60), step="asking").stdout.strip()

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


def with_systemd(tmp_path: Path, cache: Path | None = None) -> Iterator[Node]:
    if reason := sandbox_systemd.missing():
        pytest.skip(reason)
    with sandboxes(cache) as sandboxed:
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
