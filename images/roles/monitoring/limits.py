"""limits.yaml: the numbers of this stack, as constant series, so that the rules themselves are constant data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from images.roles.monitoring.settings import Limits, MonitoringSettings

RULES_FOLDER = "images/roles/monitoring/rules"
"""The rules themselves, relative to the repository's root."""

NAME_LABEL = "requested_model"
"""LiteLLM's label (1.106.2) for the model that a client asked for: of a spilled request the self-hosted name."""


def limits(settings: MonitoringSettings, stack: Limits) -> Mapping[str, float]:
    """Name (behind `crossover:limit:`) → value. A limit that does not exist is absent, and its alert never fires."""
    values: dict[str, float] = {
        "nodes": stack.minimum_nodes,
        "latency_p99_seconds": settings.p99_limit_s,
        "kv_cache_share": settings.kv_cache_limit,
        "queue_requests": settings.queue_limit,
        "error_share": settings.error_share_limit,
        "spill_usd_per_day": settings.spill_usd_per_day,
        "volume_hours": settings.volume_minimum_days * 24,
    }
    if stack.break_even_tokens_per_month is not None:
        values["break_even_tokens_per_month"] = stack.break_even_tokens_per_month
    if stack.certificates_end_seconds is not None:
        values["certificates_end_seconds"] = stack.certificates_end_seconds
    return values


def spill_prices(stack: Limits) -> Mapping[str, float]:
    """As `limits`, of series that there are for each self-hosted name, in the label that LiteLLM gives it."""
    if (price := stack.spill) is None:
        return {}
    return {
        "spill_input_usd_per_token": price.input_usd_per_token,
        "spill_output_usd_per_token": price.output_usd_per_token,
    }


def render_limits(settings: MonitoringSettings, stack: Limits) -> str:
    """A Prometheus rule file: one recording rule per limit."""
    rules = [_rule(name, value) for name, value in limits(settings, stack).items()]
    if stack.spill is not None:
        prices = spill_prices(stack).items()
        rules += [_rule(*row) | {"labels": {NAME_LABEL: n}} for n in stack.spill.served_names for row in prices]
    return yaml.safe_dump({"groups": [{"name": "crossover-limits", "rules": rules}]}, sort_keys=False, width=120)


def _rule(name: str, value: float) -> dict[str, Any]:
    return {"record": f"crossover:limit:{name}", "expr": f"vector({value!r})"}
