"""What a pull request buys, weighed by the base's figures; and which figures it changes.

It buys nodes, candidates, the model and how it is served, and what is paid up front. Every other key of the scenario
and the usage file is a scale.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from cost_guard.scenario.proposal import Proposal
from cost_guard.scenario.scenario import Scenario, plain

PROVENANCE = ("model", "source", "date", "not_same_weights")
"""What is said of a managed price. Where the base says nothing, the pull request's word counts: it has no default that
it could be kinder than."""
_BOUGHT = {"workload": {"model"}, "horizon": {"upfrontUsd"}, "fleet": {"nodes", "sku"}}


@dataclass(frozen=True)
class ChangedFigure:
    """A scale that differs between the base and the pull request."""

    key: str
    """ "workload.tokensPerMonth", or file and row of the catalogue."""
    before: str
    """As it is written; empty where the base has none."""
    now: str


def pairs(head: Mapping[str, Proposal], base: Mapping[str, Proposal]) -> dict[str, Proposal]:
    """Name of a model of the pull request → its proposal in the base: by its name, else by the weights, else the one of
    the most nodes that goes for the one of the most that comes, so that a new name brings no scales of its own. A model
    that comes in addition has none."""
    found = {name: base[name] for name in head if name in base}
    left = {name: one for name, one in base.items() if name not in found}
    for name in head:
        same = [old for old, one in left.items() if _model(one) == _model(head[name])]
        if name not in found and same:
            found[name] = left.pop(same[0])
    come = sorted((name for name in head if name not in found), key=lambda name: -_nodes(head[name]))
    gone = sorted(left.values(), key=lambda one: -_nodes(one))
    return found | dict(zip(come, gone, strict=False))


def mixture(head: Mapping[str, Proposal], before: Mapping[str, Proposal]) -> dict[str, Proposal]:
    """Each model's `weighed`; one that the base lacks as it is."""
    return {name: weighed(one, before[name]) if name in before else one for name, one in head.items()}


def weighed(head: Proposal, base: Proposal) -> Proposal:
    """What the pull request buys, with the base's scales. What the base leaves to a default counts as that default."""
    buys, scales = head.scenario, base.scenario
    fleet = {key: getattr(scales.fleet, key) for key in ("target_utilisation", "spare_nodes", "max_per_failure_domain")}
    scenario = Scenario.model_construct(
        workload=scales.workload.model_copy(update={"model": buys.workload.model}),
        managed=_managed(head, base),
        fleet=buys.fleet.model_copy(update=fleet),
        overhead=scales.overhead,
        horizon=scales.horizon.model_copy(update={"upfront_usd": buys.horizon.upfront_usd}),
        uncertainty=scales.uncertainty,
        constraints=scales.constraints,
    )
    return replace(head, scenario=scenario, usage=base.usage)


def changed_figures(head: Proposal, base: Proposal) -> tuple[ChangedFigure, ...]:
    """The scales that differ, each with both values; defaults are values too."""
    now, before = dict(_scales(head)), dict(_scales(base))
    keys = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    return tuple(ChangedFigure(key, before.get(key, ""), now.get(key, "")) for key in keys)


def _managed(head: Proposal, base: Proposal) -> Any:
    own, managed = head.scenario.managed, base.scenario.managed
    said = PROVENANCE if managed.routes is None and own.routes is None else PROVENANCE[-1:]
    told = {key: getattr(own, key) for key in said if getattr(managed, key) is None}
    return managed.model_copy(update=told)


def _scales(proposal: Proposal) -> Iterator[tuple[str, str]]:
    given = plain(proposal.scenario.model_dump(by_alias=True))
    for section, values in given.items():
        yield from _flat(section, {k: v for k, v in values.items() if k not in _BOUGHT.get(section, ())})
    if proposal.usage is not None:
        yield from _flat("usage", plain(proposal.usage.to_inputs()))


def _flat(key: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _flat(f"{key}.{name}", item)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _flat(f"{key}[{number}]", item)
    elif value is not None:
        yield key, f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _nodes(proposal: Proposal) -> int:
    return proposal.scenario.fleet.node_count


def _model(proposal: Proposal) -> str | None:
    return proposal.scenario.workload.model
