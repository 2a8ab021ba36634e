"""alertmanager.yml: who is told. One Alertmanager, no cluster."""

from __future__ import annotations

from typing import Any

import yaml

from images.roles.monitoring.settings import MonitoringSettings, Webhook


def render_alertmanager(settings: MonitoringSettings) -> str:
    """The file, tokens unresolved. Without a webhook alerts are seen in Alertmanager's own pages only."""
    name = "nobody" if settings.webhook is None else "webhook"
    config = {
        "route": {
            "receiver": name,
            "group_by": ["stack", "alertname"],
            "group_wait": "30s",
            "group_interval": "5m",
            "repeat_interval": "12h",
        },
        # The cause is told, its consequences are not.
        "inhibit_rules": [_inhibit("GatewayDown", "EndpointErrors"), _inhibit("GatewayDown", "RedundancyLost")],
        "receivers": [{"name": name, **_receiver(settings.webhook)}],
    }
    return yaml.safe_dump(config, sort_keys=False, width=120)


def _inhibit(cause: str, consequence: str) -> dict[str, Any]:
    return {
        "source_matchers": [f'alertname="{cause}"', 'job="haproxy"'],
        "target_matchers": [f'alertname="{consequence}"'],
        "equal": ["stack"],
    }


def _receiver(webhook: Webhook | None) -> dict[str, Any]:
    if webhook is None:
        return {}
    entry: dict[str, Any] = {"url": webhook.url, "send_resolved": True}
    if webhook.bearer_secret is not None:
        # Debian 12's Alertmanager (0.25) has no `url_file` for webhooks: the token is the secret, not the address.
        entry["http_config"] = {"authorization": {"credentials_file": f"@SECRET:{webhook.bearer_secret}@"}}
    return {"webhook_configs": [entry]}
