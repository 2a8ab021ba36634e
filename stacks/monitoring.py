"""The monitoring: it goes along with the gateway, on the same machine and in the same Install."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pulumi

from cost_guard.catalogue.catalogue import Catalogue
from cost_guard.catalogue.managed import ManagedRates
from cost_guard.verdict.verdict import Verdict
from images.bundle import Bundle
from images.roles.monitoring.bundle import monitoring_bundle
from images.roles.monitoring.prometheus import Target
from images.roles.monitoring.settings import Limits, SpillPrice
from providers.certificates import ends_at
from stacks.settings import Settings


def monitoring(
    settings: Settings,
    verdicts: Iterable[Verdict],
    catalogue: Catalogue,
    targets: pulumi.Output[Sequence[Target]],
    ca_certificate: pulumi.Output[str],
) -> pulumi.Output[Bundle]:
    """Prometheus and Alertmanager, which look at `targets` and at the gateway beside them, and at the end of the CA."""
    compared, metrics = limits(settings, verdicts, catalogue), settings.engine.metrics

    def render(known: list[Any]) -> Bundle:
        nodes, pem = known
        ending = compared.model_copy(update={"certificates_end_seconds": int(ends_at(pem).timestamp())})
        return monitoring_bundle(settings.monitoring, ending, pulumi.get_stack(), nodes, metrics)

    return pulumi.Output.all(targets, ca_certificate).apply(render)


def limits(settings: Settings, verdicts: Iterable[Verdict], catalogue: Catalogue) -> Limits:
    """Of all models together: the nodes that must serve, the volume that pays for them, where there is one, and what
    their fallback costs, where that is known."""
    volumes = [verdict.break_even.stable for verdict in verdicts]
    pay = [float(volume) for volume in volumes if volume is not None]
    return Limits(
        minimum_nodes=sum(model.fleet.node_count - model.fleet.spare_nodes for model in settings.models),
        break_even_tokens_per_month=sum(pay) if len(pay) == len(volumes) else None,
        spill=spill_price(settings, catalogue),
    )


def spill_price(settings: Settings, catalogue: Catalogue) -> SpillPrice | None:
    """The catalogue's price of the fallback. None where it bills nothing, has an address of its own, or no row."""
    gateway = settings.gateway
    model = next((m for m in gateway.managed if m.name == gateway.fallback and gateway.paid_fallback), None)
    row = None if model is None or model.api_base else _row(model.model, catalogue)
    if row is None:
        return None
    return SpillPrice(
        served_names=settings.served_names,
        input_usd_per_token=float(row.input_usd_per_million) / 1e6,
        output_usd_per_token=float(row.output_usd_per_million) / 1e6,
    )


def _row(model: str, catalogue: Catalogue) -> ManagedRates | None:
    """LiteLLM's table has some names with their provider before them, and some without."""
    provider, _, bare = model.partition("/")
    row = catalogue.managed.get(model) or catalogue.managed.get(bare)
    return row if row is not None and (row.key == model or row.provider == provider) else None
