"""The monitoring: it goes along with the gateway, on the same machine and in the same Install."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pulumi

from cost_guard.verdict.verdict import Verdict
from images.bundle import Bundle
from images.roles.monitoring.bundle import monitoring_bundle
from images.roles.monitoring.prometheus import Target
from images.roles.monitoring.settings import Limits
from stacks.settings import Settings


def monitoring(
    settings: Settings, verdicts: Iterable[Verdict], targets: pulumi.Output[Sequence[Target]]
) -> pulumi.Output[Bundle]:
    """Prometheus and Alertmanager, which look at `targets` and at the gateway beside them."""
    compared, metrics = limits(settings, verdicts), settings.engine.metrics
    return targets.apply(
        lambda known: monitoring_bundle(settings.monitoring, compared, pulumi.get_stack(), known, metrics)
    )


def limits(settings: Settings, verdicts: Iterable[Verdict]) -> Limits:
    """Of all models together: the nodes that must serve, and the volume that pays for them, where there is one."""
    volumes = [verdict.break_even.stable for verdict in verdicts]
    pay = [float(volume) for volume in volumes if volume is not None]
    return Limits(
        minimum_nodes=sum(model.fleet.node_count - model.fleet.spare_nodes for model in settings.models),
        break_even_tokens_per_month=sum(pay) if len(pay) == len(volumes) else None,
    )
