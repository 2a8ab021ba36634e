"""The gateway's bundle: complete in itself, the same each time, and without a secret."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from images.bundle import Bundle
from images.engines import vllm
from images.roles.gateway.bundle import PORTS, gateway_bundle
from images.roles.gateway.settings import GatewaySettings, Peer
from images.roles.monitoring.bundle import PORTS as MONITORING_PORTS
from images.roles.monitoring.bundle import monitoring_bundle
from images.roles.monitoring.settings import Limits, MonitoringSettings

MANAGED = [{"name": "gpt-4o", "model": "openai/gpt-4o"}]
A = Peer(key="a", address="192.0.2.1", port=8000, server_name="a.nodes.crossover.internal")


def _bundle(values: Mapping[str, object] | None = None, peers: tuple[Peer, ...] = (A,)) -> Bundle:
    settings = GatewaySettings.model_validate({"managed": MANAGED, **(values or {})})
    monitoring = monitoring_bundle(
        MonitoringSettings(),
        Limits(minimum_nodes=2, break_even_tokens_per_month=1e9),
        "test",
        peers,
        vllm.ENGINE.metrics,
    )
    return gateway_bundle(settings, ["llama-70b"], vllm.ENGINE, peers, "CA", monitoring)


VARIANTS: list[dict[str, object]] = [
    {},
    {"fallback": "gpt-4o"},
    {"standIn": True},
    {"cacheTtlSeconds": 0},
    {"managed": []},
]


@pytest.mark.parametrize("values", VARIANTS, ids=str)
def test_every_token_names_something_that_the_bundle_has(values: dict[str, object]) -> None:
    bundle = _bundle(values)
    words = [w for s in bundle.services for w in (*s.command, *s.environment.values())]
    text = "\n".join([*(f.content for f in bundle.files), *words])
    assert set(re.findall("@PORT:([^@]+)@", text)) <= {*PORTS, *MONITORING_PORTS}
    assert set(re.findall("@SECRET:([^@]+)@", text)) <= set(bundle.secrets)
    assert set(re.findall("@ENV:([^@]+)@", text)) == {e.name for e in bundle.environments}
    assert {v for s in bundle.services for v in s.secret_environment.values()} <= set(bundle.secrets)
    assert {c.bearer_secret for c in bundle.checks} - {None} <= set(bundle.secrets)
    assert {c.port for c in bundle.checks} <= {*PORTS, *MONITORING_PORTS}


@pytest.mark.parametrize("values", VARIANTS, ids=str)
def test_names_paths_and_ports_are_there_once(values: dict[str, object]) -> None:
    bundle = _bundle(values)
    for names in (
        [s.name for s in bundle.services],
        [c.name for c in bundle.checks],
        [f.path for f in bundle.files] + [s.path for s in bundle.sources],
        list(bundle.secrets),
        list(bundle.programs),
    ):
        assert len(names) == len(set(names))


def test_equal_settings_make_equal_bundles_and_it_survives_the_way_through_the_state() -> None:
    assert _bundle().digest == _bundle().digest
    assert Bundle.from_dict(_bundle().to_dict()) == _bundle()


def test_another_node_changes_only_what_reloads_without_a_restart() -> None:
    b = Peer(key="b", address="192.0.2.2", port=8000, server_name="b.nodes.crossover.internal")
    one, two = _bundle(), _bundle(peers=(A, b))
    changed = {f.path for f, g in zip(one.files, two.files, strict=True) if f != g}
    assert changed == {"haproxy/haproxy.cfg", "prometheus/prometheus.yml"}
    assert changed <= {f for s in two.services for f in s.reload_files}
    assert one.services == two.services


def test_the_stand_in_is_there_only_where_it_is_asked_for_and_plays_the_providers_names() -> None:
    assert "managed" not in {s.name for s in _bundle().services}
    bundle = _bundle({"standIn": True})
    service = next(s for s in bundle.services if s.name == "managed")
    assert service.command[service.command.index("--served-model-name") + 1] == "gpt-4o"
    assert service.secret_environment == {"VLLM_API_KEY": "managed-api-key"}
    assert service.environment == {"PYTHONPATH": "@ROOT@/lib"}
    paths = {s.path for s in bundle.sources}
    assert {"lib/simulator/__init__.py", "lib/simulator/__main__.py"} <= paths


def test_haproxy_reloads_when_its_file_the_ca_or_the_keys_change() -> None:
    haproxy = next(s for s in _bundle().services if s.name == "haproxy")
    assert haproxy.command[:3] == ("haproxy", "-W", "-db")
    assert haproxy.reload_signal == "USR2"
    assert set(haproxy.reload_files) >= {
        "haproxy/haproxy.cfg", "tls/ca.pem", "secrets/endpoint-keys", "secrets/client.pem", "secrets/backend-keys"
    }  # fmt: skip


def test_litellm_has_an_environment_of_its_own_and_fetches_nothing_at_start() -> None:
    bundle = _bundle()
    assert [e.requirements.source for e in bundle.environments] == ["requirements/litellm.txt"]
    litellm = next(s for s in bundle.services if s.name == "litellm")
    assert litellm.environment["LITELLM_LOCAL_MODEL_COST_MAP"] == "True"


def test_what_it_needs_from_debian_is_named() -> None:
    assert set(_bundle().programs) == {"haproxy", "redis-server", "prometheus", "prometheus-alertmanager"}


@pytest.mark.parametrize("values", VARIANTS, ids=str)
def test_litellm_alone_has_a_user_of_its_own(values: dict[str, object]) -> None:
    """Audit 19: it is the largest heap of others' code."""
    assert [s.name for s in _bundle(values).services if s.own_user] == ["litellm"]
