"""Rule monitoring-wired: a Fleet has a gateway, and Prometheus beside it scrapes every node that has an address.

The gate needs 30 days of that history to judge a measured volume. A gateway's bundle is known in preview only where the
nodes are: else it is noted, and holds in `up`. Of a program without an Install of ours it asks nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import yaml

from cost_guard.codes import Severity
from cost_guard.pack.rule import StackRule
from strict import names

if TYPE_CHECKING:  # to start faster: see `pack.rule`
    from pulumi_policy import PolicyResource

NODE_TYPES = (names.NODE, names.AWS_NODE)
CONFIGURATION = "prometheus/prometheus.yml"


def _check(resources: list[PolicyResource]) -> Iterable[tuple[str, str]]:
    gateways = [r for r in resources if r.resource_type == names.INSTALL]
    for fleet in (r for r in resources if r.resource_type == names.FLEET):
        if not gateways:
            yield fleet.urn, "no gateway is installed, so nothing scrapes the nodes and no volume is ever measured"
    nodes = {r.name for r in resources if r.resource_type in NODE_TYPES and _in_fleet(r) and _has_address(r)}
    for gateway in gateways:
        scraped = _scraped(_text(gateway))
        if scraped is None:
            yield gateway.urn, f"its bundle has no {CONFIGURATION}: nothing scrapes the nodes"
        elif missing := sorted(nodes - scraped):
            yield gateway.urn, f"its Prometheus does not scrape {', '.join(missing)}"


def _wanted(resource: Any) -> bool:
    """Everything but Installs that are no gateway's: of the engine's own message."""
    return bool(resource.type != names.INSTALL or resource.properties.fields["role"].string_value == names.GATEWAY_ROLE)


def _in_fleet(resource: PolicyResource) -> bool:
    return names.FLEET in names.parents_of(resource.urn)


def _has_address(node: PolicyResource) -> bool:
    """A vacant node has none, and the rest serves. Raises UnknownValueError in the preview that creates it."""
    return bool(node.props["machine"]["address"])


def _text(gateway: PolicyResource) -> str | None:
    files = gateway.props["bundle"]["files"]
    return str(files[CONFIGURATION]["content"]) if CONFIGURATION in files else None


@lru_cache(maxsize=8)
def _scraped(text: str | None) -> frozenset[str] | None:
    """The keys of the nodes that a prometheus.yml scrapes; None for none at all."""
    if text is None:
        return None
    # libyaml, where it is there, reads the jobs of 200 nodes in a tenth of the time
    parsed: Any = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    static = (one for job in parsed["scrape_configs"] for one in job.get("static_configs", ()))
    return frozenset(one["labels"]["node"] for one in static if "node" in one.get("labels", {}))


RULE = StackRule(
    code="monitoring-wired",
    position=140,
    severity=Severity.HIGH,
    demand="A gateway's Prometheus scrapes every node of the fleet.",
    remedy="Keep the Gateway of stacks/__main__.py, and give it every node of the Fleet.",
    looks_at=(names.FLEET, names.INSTALL, *NODE_TYPES),
    check=_check,
    select=_wanted,
    elsewhere="silent",
)
