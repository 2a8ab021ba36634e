"""Rule node-outside-fleet: every rented node is one that the gate has priced.

A node belongs to a Fleet whose inputs name its candidates, and a Fleet has no more nodes than its inputs name. Under a
Gateway only machines that bill nothing are free; anywhere else a node is a violation. Fleets are remembered as they
pass: the engine registers a component before its children, and asks one process about both.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from pulumi_policy import ReportViolation, ResourceValidationArgs
from pulumi_policy.proxy import UnknownValueError

from cost_guard.evaluate import BILLS_NOTHING

from .gate import FLEET_TYPE, mandatory, plain

NODE_TYPE = "gpucloud:index:Node"
GATEWAY_TYPE = "crossover:index:Gateway"

_lock = threading.Lock()
_ladders: dict[str, list[Any]] = {}
"""Fleet URN → the ladders that its inputs name."""
_nodes: dict[str, set[str]] = {}
"""Fleet URN → the URNs of the nodes seen under it."""


def _validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
    try:
        if args.resource_type == FLEET_TYPE:
            _remember(args.urn, args.props)
        elif args.resource_type == NODE_TYPE and (complaint := _complaint(args)):
            report(complaint, None)
    except UnknownValueError as error:
        report(f"{'.'.join(error.props)} is unknown until the update runs; the gate needs it known at preview", None)
    except Exception as error:
        report(f"cannot tell what this node costs: {type(error).__name__}", None)


def _remember(urn: str, props: Mapping[str, Any]) -> None:
    nodes = plain(props["fleet"]).get("nodes")
    ladders = [_rungs(node["candidates"]) for node in nodes.values()] if isinstance(nodes, Mapping) else []
    with _lock:
        _ladders[urn] = ladders
        _nodes.setdefault(urn, set())


def _complaint(args: ResourceValidationArgs) -> str | None:
    parents = args.urn.split("::")[2].split("$")[:-1]
    rungs = _rungs(plain(args.props["candidates"]))
    if FLEET_TYPE in parents:
        return _not_of_fleet(args, rungs)
    if GATEWAY_TYPE not in parents:
        return "this node is outside a Fleet, so the gate has not priced it; add it to crossover:fleet.nodes"
    if rungs and all(rung["cloud"] in BILLS_NOTHING for rung in rungs):
        return None
    free = " or ".join(sorted(BILLS_NOTHING))
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


POLICY = mandatory("node-outside-fleet", "Every rented node must be one that the cost gate has priced.", _validate)
