"""prometheus.yml and alertmanager.yml: what promtool and amtool say of them, and the decisions in them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from images.engines.vllm import ENGINE
from images.roles.gateway.settings import Peer
from images.roles.monitoring.alertmanager import render_alertmanager
from images.roles.monitoring.bundle import monitoring_bundle
from images.roles.monitoring.prometheus import render_prometheus
from images.roles.monitoring.settings import Limits, MonitoringSettings

METRICS = ENGINE.metrics
PEERS = [
    Peer(key="b", address="2001:db8::2", port=8000, server_name="b.nodes.crossover.internal"),
    Peer(key="a", address="192.0.2.1", port=8000, server_name="a.nodes.crossover.internal"),
]
WEBHOOK = {"url": "https://hooks.example.org/alerts", "bearerSecret": "alert-token"}


def _resolved(text: str, root: Path) -> str:
    return (
        re.sub(r"@PORT:[a-z-]+@", "1234", text.replace("@ROOT@", str(root)))
        .replace("@SECRET:", f"{root}/")
        .replace("@", "")
    )


def _run(*command: str | Path) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("peers", [PEERS, []], ids=["two nodes", "none"])
def test_promtool_accepts_the_configuration(tmp_path: Path, peers: list[Peer]) -> None:
    root = tmp_path / "a folder"
    (root / "tls").mkdir(parents=True)
    (root / "tls/ca.pem").write_text("")
    for name in ("litellm-master-key", "monitoring-key"):
        (root / name).write_text("k")
    (root / "client.pem").write_text("")
    (root / "prometheus.yml").write_text(
        _resolved(render_prometheus(MonitoringSettings(), "prod", peers, METRICS), root)
    )
    _run("promtool", "check", "config", "--syntax-only", root / "prometheus.yml")


def test_a_node_is_scraped_over_tls_under_its_key_and_its_certificates_name() -> None:
    config = yaml.safe_load(render_prometheus(MonitoringSettings(scrape_interval_s=7), "prod", PEERS, METRICS))
    jobs = {j["job_name"]: j for j in config["scrape_configs"]}
    assert list(jobs) == ["node-a", "node-b", "haproxy", "litellm", "prometheus", "alertmanager"]
    assert jobs["node-b"]["scheme"] == "https"
    assert jobs["node-b"]["tls_config"] == {
        "ca_file": "@ROOT@/tls/ca.pem",
        "cert_file": "@SECRET:client.pem@",
        "key_file": "@SECRET:client.pem@",
        "server_name": "b.nodes.crossover.internal",
    }
    assert jobs["node-b"]["static_configs"] == [
        {"targets": ["[2001:db8::2]:8000"], "labels": {"job": "vllm", "node": "b"}}
    ]
    assert jobs["litellm"]["authorization"] == {"credentials_file": "@SECRET:litellm-master-key@"}
    assert config["global"]["external_labels"] == {"stack": "prod"}
    assert config["global"]["scrape_interval"] == "7s"


@pytest.mark.parametrize("webhook", [None, WEBHOOK, {"url": "http://192.0.2.9:8080/x"}])
def test_amtool_accepts_the_configuration(tmp_path: Path, webhook: object) -> None:
    settings = MonitoringSettings.model_validate({"webhook": webhook})
    (tmp_path / "alertmanager.yml").write_text(_resolved(render_alertmanager(settings), tmp_path))
    _run("amtool", "check-config", tmp_path / "alertmanager.yml")


def test_a_webhook_carries_its_secret_as_a_path() -> None:
    settings = MonitoringSettings.model_validate({"webhook": WEBHOOK})
    receiver = yaml.safe_load(render_alertmanager(settings))["receivers"][0]["webhook_configs"][0]
    assert receiver["url"] == WEBHOOK["url"]
    assert receiver["http_config"]["authorization"] == {"credentials_file": "@SECRET:alert-token@"}
    assert monitoring_bundle(
        settings, Limits(minimum_nodes=2, break_even_tokens_per_month=None), "s", [], METRICS
    ).secrets[-1:] == ("alert-token",)


@pytest.mark.parametrize(
    "bad",
    [
        {"p99LimitS": 0},
        {"kvCacheLimit": 1.5},
        {"retentionDays": 29},
        {"volumeMinimumDays": 31},
        {"webhook": {"url": "ftp://x"}},
        {"webhook": {"url": "https://user:word@x"}},
        {"webhook": {"url": "http://192.0.2.9:8080/x", "bearerSecret": "alert-token"}},
        {"webhok": None},
    ],
)
def test_settings_that_make_no_sense_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        MonitoringSettings.model_validate(bad)


def test_prometheus_and_alertmanager_listen_on_loopback_and_reload_by_signal() -> None:
    bundle = monitoring_bundle(
        MonitoringSettings(), Limits(minimum_nodes=2, break_even_tokens_per_month=1.0), "s", PEERS, METRICS
    )
    services = {s.name: s for s in bundle.services}
    for name, service in services.items():
        assert f"--web.listen-address=127.0.0.1:@PORT:{name}@" in service.command
        assert service.reload_signal == "HUP"
    assert not any("enable-lifecycle" in word for word in services["prometheus"].command)
    assert "--cluster.listen-address=" in services["alertmanager"].command
    held = {f.path for f in bundle.files} | {s.path for s in bundle.sources}
    keys = {"secrets/client.pem", "secrets/monitoring-key", "secrets/monitoring-web.yml"}
    assert held | keys == {f for s in services.values() for f in s.reload_files}
