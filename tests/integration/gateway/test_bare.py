"""A gateway comes onto a machine that has nothing but sshd: its programs by apt, its environments from the cache."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from images.bundle import Bundle
from images.engines import vllm
from images.remote.connection import Connection
from images.remote.host import Host
from images.remote.waiting import Waiting
from images.roles.gateway.bundle import PORTS, gateway_bundle
from images.roles.gateway.endpoint import CERTIFICATE
from images.roles.gateway.settings import GatewaySettings
from images.roles.monitoring.bundle import PORTS as MONITORING_PORTS
from images.roles.monitoring.bundle import monitoring_bundle
from images.roles.monitoring.settings import Limits, MonitoringSettings
from images.vehicles.ssh.install import InstallReport, install
from providers.renting.firstboot import user_data
from providers.renting.hostkeys import one_use
from tests.clouds.server import Boot
from tests.integration.gateway.harness import KEY, MADE, MANAGED, NAMES, SECRETS
from tests.integration.images.conftest import tiny_bundle
from tests.support import sandbox_bare, sandbox_systemd
from tests.support.sandbox import CACHE, REQUIREMENTS, prepare_cache, sandboxes
from tests.support.sandbox_bare import GATEWAY, PYTHON, VENV, Bare, Repository, downloaded
from tests.support.sshd import make_key, public_key

SERVICES = ("haproxy", "litellm", "redis", "prometheus", "alertmanager", "managed")
ITS_OWN = {"litellm-master-key", "redis-password", "managed-api-key"}
"""The secrets that LiteLLM is told."""
BY_USER = "setpriv --reuid {user} --regid {user} --clear-groups --inh-caps=-all --bounding-set=-all --no-new-privs"


@dataclass(frozen=True)
class Place:
    """The machine, and who logs in."""

    host: Host
    private_key: str

    def install(self, bundle: Bundle, said: list[str] | None = None) -> InstallReport:
        return install(
            self.host, bundle, {**SECRETS, CERTIFICATE: "".join(MADE.pair(NAMES[0])), "api-key": "a-node's"},
            self.private_key, say=(said if said is not None else []).append, cancelled=lambda: False,
            deadline_s=400, connect_within_s=60,
        )  # fmt: skip

    def run(self, script: str) -> str:
        """What the script says there, on either stream."""
        with Connection.open(self.host, self.private_key) as connection:
            return connection.run(f"exec 2>&1\n{script}", watch=Waiting(60), step="asking").stdout.strip()

    def main_pid(self, service: str) -> int:
        return int(self.run(f"systemctl show --property MainPID --value crossover-gateway-{service}"))

    def asked(self) -> int:
        """The status of a completion by the managed model, through HAProxy and LiteLLM."""
        connection = http.client.HTTPSConnection(
            self.host.address, PORTS["endpoint"], timeout=60, context=MADE.context(None)
        )
        body = {"model": MANAGED, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 2}
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
        connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        return connection.getresponse().status


@contextmanager
def bare_machine(folder: Path) -> Iterator[Place]:
    if reason := sandbox_bare.missing() or sandbox_systemd.missing():
        pytest.skip(reason)
    cache = prepare_cache(requirements=(*REQUIREMENTS, "requirements/litellm.txt"), python=PYTHON)
    repository = Repository(folder / "repository")
    repository.add(downloaded(*GATEWAY, *VENV))
    key = make_key(folder / "key")
    host_key = one_use(key, "gateway")
    ports = {**PORTS, **MONITORING_PORTS}
    with sandboxes(cache) as sandboxed:
        order = Boot("gateway", (public_key(folder / "key"),), user_data(host_key), ports=(22, PORTS["endpoint"]))
        address = sandboxed.boot(order, systemd=True, bare=Bare(repository)).address
        yield Place(Host(address, 22, "ubuntu", host_key.public, "/opt/gateway", CACHE, "0.0.0.0", ports), key)


def test_a_gateway_comes_onto_a_machine_with_nothing_but_ssh_and_its_litellm_can_read_no_key_but_its_own(
    tmp_path: Path,
) -> None:
    """Audit 19: as the user who installs, a bad package of LiteLLM's was root, and had the keys of nodes and clients.

    A machine of before, where it was so, goes on: LiteLLM is started anew, once, and HAProxy serves meanwhile."""
    with bare_machine(tmp_path) as place:
        before = bundle()
        before = replace(before, services=tuple(replace(s, own_user=False) for s in before.services))
        said: list[str] = []
        report = place.install(before, said)
        assert set(SERVICES) <= set(report.restarted), report
        assert any("installed haproxy 2.6" in line for line in said), said
        assert place.asked() == 200
        haproxy = place.main_pid("haproxy")
        report = place.install(bundle())
        assert (report.restarted, report.reloaded) == (("litellm",), ())
        assert place.main_pid("haproxy") == haproxy
        assert place.asked() == 200
        second = place.install(bundle())
        assert (second.transferred_bytes, second.restarted) == (0, ())
        other = replace(place, host=replace(place.host, root="/opt/node", ports={"one": 7001, "two": 7002}))
        other.install(tiny_bundle())
        litellm_reads_no_key_but_its_own(place, other.host.root)


def litellm_reads_no_key_but_its_own(place: Place, other: str) -> None:
    """Not by its rights alone, and not where it runs; `other` is the root of a node on the same machine."""
    pid, haproxy, root = place.main_pid("litellm"), place.main_pid("haproxy"), place.host.root
    user = int(place.run(f"stat -c %u /proc/{pid}"))
    assert user not in {int(place.run(f"stat -c %u /proc/{place.main_pid(s)}")) for s in SERVICES if s != "litellm"}
    rights = BY_USER.format(user=user)
    where_it_runs = f"nsenter --target {pid} --mount {rights}"
    files = place.run(f"find {root}/secrets {other}/secrets -type f").splitlines()
    assert {f"{root}/secrets/{CERTIFICATE}", f"{root}/secrets/client.pem", f"{other}/secrets/api-key"} <= set(files)
    private = [*files, f"/proc/{haproxy}/environ", "~root/.ssh/authorized_keys", "/etc/shadow"]
    assert place.run(f"cat {' '.join(private)} | wc --bytes") != "0"
    for way in (rights, where_it_runs):
        assert place.run(f"{way} cat {' '.join(private)} 2>/dev/null | wc --bytes") == "0"
        assert place.run(f"{way} head -c 9 {root}/litellm/config.yaml") == "model_lis"
    shown = place.run(f"{where_it_runs} find {root} -type f | sort").splitlines()
    assert shown == [f"{root}/{path}" for path in ("bin/guarded_litellm.py", "litellm/config.yaml", "run/litellm")]
    handed = place.run(f"{where_it_runs} ls /run/credentials/crossover-gateway-litellm.service").split()
    assert set(handed) == ITS_OWN
    assert place.run(f"{rights} find /opt {CACHE} /etc /usr /root /home -writable ! -type l 2>/dev/null") == ""
    held = place.run(f"cat /proc/{pid}/status")
    assert {line.split()[1] for line in held.splitlines() if line.startswith("Cap")} == {"0" * 16}


def bundle() -> Bundle:
    settings = GatewaySettings.model_validate(
        {"managed": [{"name": MANAGED, "model": "openai/gpt"}], "standIn": True, "tlsServerName": NAMES[0]}
    )
    monitoring = monitoring_bundle(
        MonitoringSettings(), Limits(minimum_nodes=0, break_even_tokens_per_month=1e9), "test", (), vllm.ENGINE.metrics
    )
    return gateway_bundle(settings, ["llama-70b"], vllm.ENGINE, (), MADE.ca, monitoring)
