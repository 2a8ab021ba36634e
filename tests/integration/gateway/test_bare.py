"""A gateway comes onto a machine that has nothing but sshd: its programs by apt, its environments from the cache."""

from __future__ import annotations

import http.client
import json
from pathlib import Path

import pytest

from images.bundle import Bundle
from images.engines import vllm
from images.remote.host import Host
from images.roles.gateway.bundle import PORTS, gateway_bundle
from images.roles.gateway.settings import GatewaySettings
from images.roles.monitoring.bundle import PORTS as MONITORING_PORTS
from images.roles.monitoring.bundle import monitoring_bundle
from images.roles.monitoring.settings import Limits, MonitoringSettings
from images.vehicles.ssh.install import install
from providers.renting.firstboot import user_data
from providers.renting.hostkeys import one_use
from tests.clouds.server import Boot
from tests.integration.gateway.harness import KEY, MADE, MANAGED, SECRETS
from tests.support import sandbox_bare, sandbox_systemd
from tests.support.sandbox import CACHE, REQUIREMENTS, prepare_cache, sandboxes
from tests.support.sandbox_bare import GATEWAY, PYTHON, VENV, Bare, Repository, downloaded
from tests.support.sshd import make_key, public_key

NAMES = ("haproxy", "litellm", "redis", "prometheus", "alertmanager")


def test_a_gateway_comes_onto_a_machine_with_nothing_but_ssh_and_answers(tmp_path: Path) -> None:
    if reason := sandbox_bare.missing() or sandbox_systemd.missing():
        pytest.skip(reason)
    cache = prepare_cache(requirements=(*REQUIREMENTS, "requirements/litellm.txt"), python=PYTHON)
    repository = Repository(tmp_path / "repository")
    repository.add(downloaded(*GATEWAY, *VENV))
    key = make_key(tmp_path / "key")
    host_key = one_use(key, "gateway")
    ports = {**PORTS, **MONITORING_PORTS}
    with sandboxes(cache) as sandboxed:
        order = Boot("gateway", (public_key(tmp_path / "key"),), user_data(host_key), ports=(22, PORTS["endpoint"]))
        address = sandboxed.boot(order, systemd=True, bare=Bare(repository)).address
        host = Host(address, 22, "ubuntu", host_key.public, "/opt/crossover", CACHE, "0.0.0.0", ports)
        said: list[str] = []
        report = install(
            host, _bundle(), SECRETS, key, say=said.append, cancelled=lambda: False, deadline_s=400, connect_within_s=60
        )
        assert set(NAMES) <= set(report.restarted), report
        assert any("installed haproxy 2.6" in line for line in said), said
        assert _answer(address) == 200
        second = install(host, _bundle(), SECRETS, key, say=print, cancelled=lambda: False, deadline_s=60)
        assert (second.transferred_bytes, second.restarted) == (0, ())


def _bundle() -> Bundle:
    settings = GatewaySettings.model_validate({"managed": [{"name": MANAGED, "model": "openai/gpt"}], "standIn": True})
    monitoring = monitoring_bundle(
        MonitoringSettings(), Limits(minimum_nodes=0, break_even_tokens_per_month=1e9), "test", (), vllm.ENGINE.metrics
    )
    return gateway_bundle(settings, ["llama-70b"], vllm.ENGINE, (), MADE.ca, monitoring)


def _answer(address: str) -> int:
    """The status of a completion by the managed model, through HAProxy and LiteLLM."""
    connection = http.client.HTTPConnection(address, PORTS["endpoint"], timeout=60)
    body = {"model": MANAGED, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 2}
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
    return connection.getresponse().status
