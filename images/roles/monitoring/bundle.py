"""The monitoring's share of the machine that carries the gateway, as a bundle to be joined with the gateway's."""

from __future__ import annotations

from collections.abc import Sequence

from images.bundle import Bundle, File, HttpCheck, Service
from images.engines.common.base import CLIENT_CERTIFICATE_SECRET, EngineMetrics
from images.roles.monitoring.access import WEB_SECRET
from images.roles.monitoring.alertmanager import render_alertmanager
from images.roles.monitoring.limits import RULES_FOLDER, render_limits
from images.roles.monitoring.prometheus import Target, render_prometheus
from images.roles.monitoring.settings import Limits, MonitoringSettings
from images.sources import repository_sources
from strict.names import MONITORING_KEY, MONITORING_USER

PORTS = {"prometheus": 9090, "alertmanager": 9093}
"""Port names of the bundle → where they are on a machine that has its network to itself."""
_PROMETHEUS = "prometheus/prometheus.yml"
_ALERTMANAGER = "alertmanager/alertmanager.yml"
_LIMITS = "prometheus/limits.yaml"
_KEYS = (MONITORING_KEY, WEB_SECRET)
_KEY_FILES = tuple(f"secrets/{name}" for name in _KEYS)


def monitoring_bundle(
    settings: MonitoringSettings, limits: Limits, stack: str, targets: Sequence[Target], metrics: EngineMetrics
) -> Bundle:
    """Prometheus and Alertmanager, both on loopback, and for who has the monitoring's key. Needs `tls/ca.pem` and the
    secrets `litellm-master-key` and CLIENT_CERTIFICATE_SECRET of the gateway's bundle. `stack` labels every series that
    leaves the machine; `metrics` are those of the targets' engine."""
    rules = repository_sources("prometheus/rules", RULES_FOLDER, "*.yaml")
    webhook = settings.webhook
    return Bundle(
        role="monitoring",
        files=(
            File(_PROMETHEUS, render_prometheus(settings, stack, targets, metrics)),
            File(_LIMITS, render_limits(settings, limits)),
            File(_ALERTMANAGER, render_alertmanager(settings)),
        ),
        sources=rules,
        services=(_prometheus(settings, tuple(r.path for r in rules)), _alertmanager()),
        checks=(
            HttpCheck("prometheus", "prometheus", "/-/ready", bearer_secret=MONITORING_KEY, user=MONITORING_USER),
            HttpCheck("alertmanager", "alertmanager", "/-/ready", bearer_secret=MONITORING_KEY, user=MONITORING_USER),
        ),
        secrets=(*_KEYS, *(() if webhook is None or webhook.bearer_secret is None else (webhook.bearer_secret,))),
        programs=("prometheus", "prometheus-alertmanager"),
        directories=("data/prometheus", "data/alertmanager"),
    )


def _prometheus(settings: MonitoringSettings, rules: tuple[str, ...]) -> Service:
    return Service(
        name="prometheus",
        command=(
            "prometheus",
            f"--config.file=@ROOT@/{_PROMETHEUS}",
            "--storage.tsdb.path=@ROOT@/data/prometheus",
            f"--storage.tsdb.retention.time={settings.retention_days}d",
            f"--storage.tsdb.retention.size={settings.retention_gib}GB",
            "--web.listen-address=127.0.0.1:@PORT:prometheus@",
            f"--web.config.file=@SECRET:{WEB_SECRET}@",
            "--log.level=warn",
        ),
        reload_signal="HUP",
        reload_files=(_PROMETHEUS, _LIMITS, f"secrets/{CLIENT_CERTIFICATE_SECRET}", *_KEY_FILES, *rules),
    )


def _alertmanager() -> Service:
    return Service(
        name="alertmanager",
        command=(
            "prometheus-alertmanager",
            f"--config.file=@ROOT@/{_ALERTMANAGER}",
            "--storage.path=@ROOT@/data/alertmanager",
            "--web.listen-address=127.0.0.1:@PORT:alertmanager@",
            f"--web.config.file=@SECRET:{WEB_SECRET}@",
            # No cluster: empty turns the gossip port off.
            "--cluster.listen-address=",
            "--log.level=warn",
        ),
        reload_signal="HUP",
        reload_files=(_ALERTMANAGER, *_KEY_FILES),
    )
