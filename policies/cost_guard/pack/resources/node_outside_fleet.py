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
from typing import Any

from pulumi_policy import ResourceValidationArgs, Severity
from pulumi_policy.proxy import UnknownValueError

from cost_guard.pack.fleet import FLEET_TYPE
from cost_guard.pack.rule import rule, unwrapped

NODE_TYPE = "gpucloud:index:Node"
GATEWAY_TYPE = "crossover:index:Gateway"
AWS_NODE_TYPE = "crossover:aws:Node"
"""The component between a Fleet and its instance at AWS."""
INSTANCE_TYPES = frozenset({"aws:ec2/instance:Instance", "aws:ec2/spotInstanceRequest:SpotInstanceRequest"})
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
"""URN of a component AWS_NODE_TYPE → its parent."""
_instances: dict[str, set[str]] = {}
"""Fleet URN → the URNs of the GPU instances seen under it."""


def _check(args: ResourceValidationArgs, _: Any) -> Iterable[str]:
    if args.resource_type == FLEET_TYPE:
        _remember(args.urn, args.props)
    elif args.resource_type == AWS_NODE_TYPE:
        with _lock:
            _parents[args.urn] = args.opts.parent
    elif args.resource_type in (NODE_TYPE, *INSTANCE_TYPES):
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
            with suppress(UnknownValueError):
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
    if FLEET_TYPE not in parents:
        return "this GPU instance is outside a Fleet, so the gate has not priced it; add it to crossover:fleet.nodes"
    with _lock:
        fleet = _parents.get(args.opts.parent or "", args.opts.parent)
        if fleet not in _ladders:
            return (
                "the Fleet of this instance was not seen, so the gate has not priced it; make it a child of the Fleet"
            )
        named = sum(all(rung["cloud"] == "aws" for rung in ladder) for ladder in _ladders[fleet])
        seen = _instances.setdefault(fleet, set())
        seen.add(args.urn)
        if len(seen) > named:
            return f"the Fleet has more instances with GPUs than the {named} nodes at aws in crossover:fleet.nodes"
    return None


def _complaint(args: ResourceValidationArgs) -> str | None:
    parents = args.urn.split("::")[2].split("$")[:-1]
    if args.resource_type == NODE_TYPE:
        return _of_node(args, parents)
    return _of_instance(args, parents)


def _of_node(args: ResourceValidationArgs, parents: list[str]) -> str | None:
    rungs = _rungs(unwrapped(args.props["candidates"]))
    if FLEET_TYPE in parents:
        return _not_of_fleet(args, rungs)
    if GATEWAY_TYPE not in parents:
        return "this node is outside a Fleet, so the gate has not priced it; add it to crossover:fleet.nodes"
    from cost_guard.verdict.judge import NOT_RENTED  # with all that `fleet_rule` says of `gate`

    if rungs and all(rung["cloud"] in NOT_RENTED for rung in rungs):
        return None
    free = " or ".join(sorted(NOT_RENTED))
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


RULE = rule(
    "node-outside-fleet",
    Severity.CRITICAL,
    "Every rented node must be one that the cost gate has priced.",
    "Rent it through crossover:fleet.nodes, which the gate prices; put a gateway of its own on a machine that bills "
    "nothing, or on the nodes.",
    (FLEET_TYPE, NODE_TYPE, AWS_NODE_TYPE, *sorted(INSTANCE_TYPES), *OTHER_RENTERS),
    _check,
)
