"""Rule node-outside-fleet: every rented node is one that the gate has priced.

A node belongs to a Fleet whose inputs name its candidates, and a Fleet has no more nodes than its inputs name. Under a
Gateway only machines that bill nothing are free; anywhere else a node is a violation. Fleets are remembered as they
pass: the engine registers a component before its children, and asks one process about both.

An EC2 instance with GPUs is a node too: it belongs to a Fleet, and a Fleet has no more of them than its inputs name at
`aws`. Its type is not compared: of a machine that is kept the engine shows the old one, whatever the inputs ask for.
What else rents machines at AWS must not name a type with GPUs: no Fleet is made of it.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from cost_guard.codes import Severity
from cost_guard.pack.rule import ResourceRule, unknown_value, unwrapped
from strict import names

if TYPE_CHECKING:  # to start faster: see `pack.rule`
    from pulumi_policy import ResourceValidationArgs

INSTANCE_TYPES = frozenset({names.AWS_INSTANCE, names.AWS_SPOT_INSTANCE})
ACCELERATED = re.compile(r"(ml\.)?(p|g|gr|dl|inf|trn|vt)\d")
"""How EC2 types with GPUs, or with what stands in for them, begin: p4d, g6e, gr6, trn1; ml. at SageMaker."""
OTHER_RENTERS = (
    "aws:autoscaling/*",
    "aws:batch/computeEnvironment:*",
    "aws:ec2/capacityBlockReservation:*",
    "aws:ec2/capacityReservation:*",
    "aws:ec2/dedicatedHost:*",
    "aws:ec2/fleet:*",
    "aws:ec2/launchConfiguration:*",
    "aws:ec2/launchTemplate:*",
    "aws:ec2/spotFleetRequest:*",
    "aws:eks/nodeGroup:*",
    "aws:emr/*",
    "aws:sagemaker/*",
)
"""Globs over what may rent an EC2 machine beside an instance, or hold one that bills."""
TYPE_KEY = re.compile(r"instance_?(types?|family)$", re.IGNORECASE)
"""The inputs of these that name a type: instanceType, allowedInstanceTypes, instanceFamily."""

_lock = threading.Lock()
_ladders: dict[str, list[Any]] = {}
"""Fleet URN → the ladders that its inputs name."""
_nodes: dict[str, set[str]] = {}
"""Fleet URN → the URNs of the nodes seen under it."""
_parents: dict[str, str | None] = {}
"""URN of a component names.AWS_NODE → its parent."""
_instances: dict[str, set[str]] = {}
"""Fleet URN → the URNs of the GPU instances seen under it."""


def _check(args: ResourceValidationArgs, _: Any) -> Iterable[str]:
    if args.resource_type == names.FLEET:
        _remember(args.urn, args.props)
    elif args.resource_type == names.AWS_NODE:
        with _lock:
            _parents[args.urn] = args.opts.parent
    elif args.resource_type in (names.NODE, *INSTANCE_TYPES):
        if complaint := _complaint(args):
            yield complaint
    else:
        for kind in sorted(set(_accelerated(args.props))):
            yield f"it rents {kind} outside a Fleet, so the gate has not priced it; add it to crossover:fleet.nodes"


def _accelerated(value: Any, key: object = "") -> Iterator[str]:
    """The types with GPUs that inputs name anywhere. What is unknown in preview is known in `up`, before it is made."""
    if isinstance(value, str):
        if TYPE_KEY.search(str(key)) and ACCELERATED.match(value):
            yield value
    elif isinstance(value, Mapping | Sequence):
        for part in value if isinstance(value, Mapping) else range(len(value)):
            with suppress(unknown_value()):
                yield from _accelerated(value[part], part if isinstance(value, Mapping) else key)


def _remember(urn: str, props: Mapping[str, Any]) -> None:
    nodes = unwrapped(props["fleet"]).get("nodes")
    ladders = [_rungs(node["candidates"]) for node in nodes.values()] if isinstance(nodes, Mapping) else []
    with _lock:
        _ladders[urn] = ladders
        _nodes.setdefault(urn, set())


def _of_instance(args: ResourceValidationArgs, parents: list[str]) -> str | None:
    if not ACCELERATED.match(args.props["instanceType"]):
        return None
    if names.FLEET not in parents:
        return "this GPU instance is outside a Fleet, so the gate has not priced it; add it to crossover:fleet.nodes"
    with _lock:
        fleet = _parents.get(args.opts.parent or "", args.opts.parent)
        if fleet not in _ladders:
            return (
                "the Fleet of this instance was not seen, so the gate has not priced it; make it a child of the Fleet"
            )
        from cost_guard.catalogue.clouds import declared  # when an instance passes, to start faster

        at = declared()
        named = sum(all(rung["cloud"] in at for rung in ladder) for ladder in _ladders[fleet])
        seen = _instances.setdefault(fleet, set())
        seen.add(args.urn)
        if len(seen) > named:
            where = f"{named} nodes at {' or '.join(at)}"
            return f"the Fleet has more instances with GPUs than the {where} in crossover:fleet.nodes"
    return None


def _complaint(args: ResourceValidationArgs) -> str | None:
    parents = names.parents_of(args.urn)
    if args.resource_type == names.NODE:
        return _of_node(args, parents)
    return _of_instance(args, parents)


def _of_node(args: ResourceValidationArgs, parents: list[str]) -> str | None:
    rungs = _rungs(unwrapped(args.props["candidates"]))
    if names.FLEET in parents:
        return _not_of_fleet(args, rungs)
    if names.GATEWAY not in parents:
        return "this node is outside a Fleet, so the gate has not priced it; add it to crossover:fleet.nodes"
    from cost_guard.catalogue.clouds import cloud_facts, not_billing  # when a gateway's machine passes, to start faster

    if rungs and not any(cloud_facts(rung["cloud"]).bills for rung in rungs):
        return None
    free = " or ".join(not_billing())
    return f"a gateway's machine that bills money is not priced by the gate; put it on {free}, or on the fleet's nodes"


def _not_of_fleet(args: ResourceValidationArgs, rungs: list[dict[str, Any]]) -> str | None:
    fleet = args.opts.parent
    with _lock:
        if fleet not in _ladders:
            return "the Fleet of this node was not seen, so the gate has not priced it; make it a child of the Fleet"
        if rungs not in _ladders[fleet]:
            return "its candidates are none of those in crossover:fleet.nodes, so the gate has not priced it"
        _nodes[fleet].add(args.urn)
        if len(_nodes[fleet]) > len(_ladders[fleet]):
            return f"the Fleet has more nodes than the {len(_ladders[fleet])} in crossover:fleet.nodes"
    return None


def _rungs(candidates: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the gate prices by, and nothing else: the ceiling may change without a word here."""
    return [
        {"cloud": rung["cloud"], "region": rung["region"], "sku": rung["sku"], "standsFor": rung.get("standsFor")}
        for rung in candidates
    ]


RULE = ResourceRule(
    code="node-outside-fleet",
    position=120,
    severity=Severity.CRITICAL,
    demand="Every rented node must be one that the cost gate has priced.",
    remedy="Rent it through crossover:fleet.nodes, which the gate prices; put a gateway of its own on a machine that "
    "bills nothing, or on the nodes.",
    never_waived="a node that nobody has priced is not covered by any verdict",
    looks_at=(names.FLEET, names.NODE, names.AWS_NODE, *sorted(INSTANCE_TYPES), *OTHER_RENTERS),
    check=_check,
)
