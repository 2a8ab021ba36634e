"""What a stack makes besides its nodes and somebody bills by a list, as far as its configuration tells."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from cost_guard.scenario.models import MODELS
from cost_guard.scenario.sections.beside import BilledResource
from providers import registry
from providers.base import Candidate
from strict.problems import Problems, parse

GATEWAY_NODE = "gatewayNode"


def listed_resources(values: Mapping[str, Any]) -> tuple[BilledResource, ...]:
    """Of all configuration values by key. Nothing of what cannot be read: who reads it whole says why."""
    nodes = defaultdict[str, list[Candidate]](list)
    for one in _first_rungs(values):
        nodes[one.cloud].append(one)
    gateway = _machine(values.get(GATEWAY_NODE))
    if gateway is not None:
        nodes[gateway.cloud] += []
    sections, found = values.get("clouds"), []
    for cloud, candidates in nodes.items():
        section = sections.get(cloud, {}) if isinstance(sections, Mapping) else {}
        here = gateway if gateway is not None and gateway.cloud == cloud else None
        with suppress(Problems):
            plain = registry.listed(cloud, section if isinstance(section, Mapping) else {}, candidates, here)
            found += [parse(BilledResource, one) for one in plain]
    return tuple(found)


def _first_rungs(values: Mapping[str, Any]) -> Iterator[Candidate]:
    """Of the nodes of all models. A node whose machine is the program's own resource has one rung."""
    models = values.get(MODELS)
    for document in models.values() if isinstance(models, Mapping) else (values,):
        fleet = document.get("fleet") if isinstance(document, Mapping) else None
        nodes = fleet.get("nodes") if isinstance(fleet, Mapping) else None
        for node in nodes.values() if isinstance(nodes, Mapping) else ():
            rungs = node.get("candidates") if isinstance(node, Mapping) else None
            first = _machine(rungs[0]) if isinstance(rungs, list) and rungs else None
            if first is not None:
                yield first


def _machine(given: object) -> Candidate | None:
    if not isinstance(given, Mapping):
        return None
    cloud, region, sku = (given.get(key) for key in ("cloud", "region", "sku"))
    return Candidate(str(cloud), str(region), str(sku)) if cloud and region and sku else None
