"""The inference bundle on a machine: the simulator over TLS with a private CA, asked by its name in the certificate."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import replace

import pytest

from images.engines import simulator
from images.engines.common.base import EngineOptions
from images.remote.errors import CheckFailed
from images.roles.inference.bundle import inference_bundle
from images.vehicles.ssh import checks
from images.vehicles.ssh.inspect import inspect
from images.vehicles.ssh.install import install
from tests.integration.images.conftest import Bench
from tests.support.credentials import Made

NAME = "a.nodes.crossover.internal"
SETTINGS = EngineOptions(
    model="tiny",
    served_names=("tiny-served",),
    tensor_parallel_size=1,
    shutdown_timeout_s=1,
    simulation={"time-scale": "0"},
)


@pytest.fixture
def node(new_bench: Callable[..., Bench]) -> Bench:
    """A machine with one port, `vllm`."""
    bench = new_bench()
    bench.ports = {"vllm": bench.ports["one"]}
    return bench


def test_a_node_answers_a_completion_over_tls_and_its_second_install_changes_nothing(node: Bench) -> None:
    made = Made.of(NAME)
    secrets, bundle = made.secrets(NAME), inference_bundle(simulator.ENGINE, SETTINGS, made.ca)
    host = node.machine.host(node.ports, server_name=NAME)

    def run() -> tuple[tuple[str, ...], int, tuple[str, ...]]:
        report = install(
            host, bundle, secrets, node.machine.private_key,
            say=node.said.append, cancelled=lambda: False, deadline_s=180,
        )  # fmt: skip
        return report.checks, report.transferred_bytes, report.restarted

    assert run()[0] == tuple(check.name for check in bundle.checks)
    assert run()[1:] == (0, ())
    assert inspect(host, bundle, secrets, node.machine.private_key).healthy
    key = {"Authorization": f"Bearer {made.outputs['vllmApiKey']}"}
    url = f"https://127.0.0.1:{node.ports['vllm']}"
    request = urllib.request.Request(f"{url}/v1/models", headers=key)
    with urllib.request.urlopen(request, context=made.context(made.client), timeout=10) as answer:
        assert [m["id"] for m in json.load(answer)["data"]] == ["tiny-served"]
    # Nobody else gets past TLS, not even a node by its own certificate, nor the key.
    for shown in (None, "".join(made.pair(NAME)), Made.of(NAME).client):
        with pytest.raises(OSError) as refused:  # noqa: PT011 - whichever way the connection ends
            urllib.request.urlopen(request, context=made.context(shown), timeout=10)
        assert not isinstance(refused.value, urllib.error.HTTPError)
    texts = [" ".join(argv) for argv in node.machine.processes().values()]
    assert not [t for t in texts if made.outputs["vllmApiKey"] in t or "PRIVATE KEY" in t]


def test_a_node_whose_certificate_is_not_its_own_is_not_ready(node: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "SETTLING_S", 2.0)
    other = "b.nodes.crossover.internal"
    made = Made.of(other)
    bundle = inference_bundle(simulator.ENGINE, SETTINGS, made.ca)
    short = replace(bundle, checks=tuple(replace(c, deadline_s=15) for c in bundle.checks))
    with pytest.raises(CheckFailed, match="no alternative certificate subject name matches"):
        install(
            node.machine.host(node.ports, server_name=NAME), short, made.secrets(other), node.machine.private_key,
            say=node.said.append, cancelled=lambda: False, deadline_s=120,
        )  # fmt: skip


def test_a_node_that_lets_strangers_in_is_not_ready(node: Bench) -> None:
    made = Made.of(NAME)
    bundle = inference_bundle(simulator.ENGINE, SETTINGS, made.ca)
    service = bundle.services[0]
    at = service.command.index("--ssl-cert-reqs") + 1
    open_to_all = replace(service, command=(*service.command[:at], "0", *service.command[at + 1 :]))
    checked = tuple(replace(c, deadline_s=min(c.deadline_s, 20)) for c in bundle.checks)
    with pytest.raises(CheckFailed, match=r"refusal without the client's certificate .* its last answer: 200"):
        install(
            node.machine.host(node.ports, server_name=NAME),
            replace(bundle, services=(open_to_all,), checks=checked),
            made.secrets(NAME), node.machine.private_key,
            say=node.said.append, cancelled=lambda: False, deadline_s=120,
        )  # fmt: skip
