"""limits.yaml: the numbers of this stack, as constant series, so that the rules themselves are constant data."""

from __future__ import annotations

from collections.abc import Mapping

import yaml

from images.roles.monitoring.settings import Limits, MonitoringSettings

RULES_FOLDER = "images/roles/monitoring/rules"
"""The rules themselves, relative to the repository's root."""


def limits(settings: MonitoringSettings, stack: Limits) -> Mapping[str, float]:
    """Name (behind `crossover:limit:`) → value. A limit that does not exist is absent, and its alert never fires."""
    values: dict[str, float] = {
        "nodes": stack.minimum_nodes,
        "latency_p99_seconds": settings.p99_limit_s,
        "kv_cache_share": settings.kv_cache_limit,
        "queue_requests": settings.queue_limit,
        "error_share": settings.error_share_limit,
        "volume_hours": settings.volume_minimum_days * 24,
    }
    if stack.break_even_tokens_per_month is not None:
        values["break_even_tokens_per_month"] = stack.break_even_tokens_per_month
    return values


def render_limits(settings: MonitoringSettings, stack: Limits) -> str:
    """A Prometheus rule file: one recording rule per limit."""
    rules = [
        {"record": f"crossover:limit:{name}", "expr": f"vector({value!r})"}
        for name, value in limits(settings, stack).items()
    ]
    return yaml.safe_dump({"groups": [{"name": "crossover-limits", "rules": rules}]}, sort_keys=False, width=120)
