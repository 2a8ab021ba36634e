"""prometheus.yml: what is scraped, and with which labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import yaml

from images.engines.common.base import CLIENT_CERTIFICATE_SECRET, SERVICE, EngineMetrics
from images.roles.monitoring.settings import MonitoringSettings
from strict.names import MONITORING_KEY, MONITORING_USER

_SHOWN = f"@SECRET:{CLIENT_CERTIFICATE_SECRET}@"
_LOGIN = {"basic_auth": {"username": MONITORING_USER, "password_file": f"@SECRET:{MONITORING_KEY}@"}}


class Target(Protocol):
    """A node as Prometheus reaches it (the gateway's `Peer`)."""

    @property
    def key(self) -> str:
        """Its stable key."""

    @property
    def target(self) -> str:
        """`address:port`."""

    @property
    def server_name(self) -> str:
        """The name in its certificate."""


def render_prometheus(
    settings: MonitoringSettings, stack: str, targets: Sequence[Target], metrics: EngineMetrics
) -> str:
    """The file, tokens unresolved. `metrics` are those of the targets' engine.

    Every node is scraped under the job SERVICE with the label `node` = its key: series of one key belong together,
    whatever machine carried it. A job per node, because the certificate's name is a setting of the job.
    """
    colon = _colon(metrics.namespace)  # one for all, which YAML writes once
    config = {
        "global": {
            "scrape_interval": f"{settings.scrape_interval_s}s",
            "evaluation_interval": f"{settings.scrape_interval_s}s",
            "external_labels": {"stack": stack},
        },
        "rule_files": ["limits.yaml", "rules/*.yaml"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": ["127.0.0.1:@PORT:alertmanager@"]}], **_LOGIN}]},
        "scrape_configs": [
            *(_node(t, colon) for t in sorted(targets, key=lambda t: t.key)),
            _local("haproxy", "haproxy-stats") | _bearer(MONITORING_KEY),
            _local("litellm", "litellm") | _bearer("litellm-master-key"),
            _local("prometheus", "prometheus") | _LOGIN,
            _local("alertmanager", "alertmanager") | _LOGIN,
        ],
    }
    return yaml.safe_dump(config, sort_keys=False, width=120)


def _node(target: Target, colon: dict[str, str | list[str]]) -> dict[str, Any]:
    return {
        "job_name": f"node-{target.key}",
        "scheme": "https",
        # Go's TLS takes the certificate and the key out of one PEM, and Prometheus reads it anew for each connection.
        "tls_config": {
            "ca_file": "@ROOT@/tls/ca.pem",
            "cert_file": _SHOWN,
            "key_file": _SHOWN,
            "server_name": target.server_name,
        },
        "static_configs": [{"targets": [target.target], "labels": {"job": SERVICE, "node": target.key}}],
        "metric_relabel_configs": [colon],
    }


def _colon(namespace: str) -> dict[str, str | list[str]]:
    """Asked for OpenMetrics, as Prometheus 2 asks, prometheus-client writes `vllm_…` for `vllm:…`: measured with 0.26,
    and known as prometheus/client_python issue 1177. Where it writes the colon, nothing matches and nothing changes."""
    return {
        "source_labels": ["__name__"],
        "regex": f"{namespace}_(.+)",
        "target_label": "__name__",
        "replacement": f"{namespace}:${{1}}",
    }


def _local(job: str, port: str) -> dict[str, Any]:
    return {"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:@PORT:{port}@"]}]}


def _bearer(secret: str) -> dict[str, Any]:
    return {"authorization": {"credentials_file": f"@SECRET:{secret}@"}}
