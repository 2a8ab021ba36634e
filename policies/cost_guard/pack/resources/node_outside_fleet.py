"""Rule node-outside-fleet: every rented node is one that the gate has priced.

A node belongs to a Fleet whose inputs name its candidates, and a Fleet has no more nodes than its inputs name. Under a
Gateway only machines that bill nothing are free; anywhere else a node is a violation. Fleets are remembered as they
pass: the engine registers a component before its children, and asks one process about both.

What else names GPUs, at whatever provider, is such a machine too: an instance, a group of them, a command, a pod. It is
a child of a Fleet, and a Fleet has no more of them than its inputs name at clouds where the program itself makes them.
The type is not compared: of a machine that is kept the engine shows the old one, whatever the inputs ask for.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from cost_guard.codes import Severity
from cost_guard.pack import accelerators
from cost_guard.pack.rule import ResourceRule, unwrapped
from strict import names

if TYPE_CHECKING:  # to start faster: see `pack.rule`
    from pulumi_policy import ResourceValidationArgs

INSTANCE_TYPES = frozenset({names.AWS_INSTANCE, names.AWS_SPOT_INSTANCE})
OURS = f"{names.NODE.partition(':')[0]}:"
"""How the types of our plugin begin; of those that rent nothing none is asked about."""
RENT_NOTHING = (names.CREDENTIALS, names.FIRST_CONTACT, names.INSTALL)
Rung = tuple[str, str, str, str | None]
"""Cloud, region, SKU, and what it stands for."""
_lock = threading.Lock()
_ladders: dict[str, Counter[tuple[Rung, ...]]] = {}
"""Fleet URN → the ladders that its inputs name, and how often."""
_nodes: dict[str, set[str]] = {}
"""Fleet URN → the URNs of the nodes seen under it."""
_parents: dict[str, str | None] = {}
"""URN of a component names.AWS_NODE → its parent."""
_named: dict[str, int] = {}
"""Fleet URN → how many of its nodes are resources of the program's own, not Nodes."""
_machines: dict[str, dict[str, int]] = {}
"""Fleet URN → URN of what has GPUs and was seen under it → how many machines that is."""


def _check(args: ResourceValidationArgs, _: Any) -> Iterable[str]:
    if args.resource_type == names.FLEET:
        _remember(args.urn, args.props)
    elif args.resource_type == names.AWS_NODE:
        with _lock:
            _parents[args.urn] = args.opts.parent
    elif args.resource_type in (names.NODE, *INSTANCE_TYPES):
        if complaint := _complaint(args):
            yield complaint
    elif args.resource_type.startswith(OURS):
        yield f"{args.resource_type} is no type of this project's plugin, so no rule knows what it rents; take it out"
    else:
        yield from _other(args)


def _other(args: ResourceValidationArgs) -> Iterable[str]:
    """Outside a Fleet, what names GPUs; as a child of one, more machines than it has nodes."""
    found = sorted(set(accelerators.accelerated(args.resource_type, args.props)))
    if not found or names.FLEET not in names.parents_of(args.urn):
        for kind in found:
            yield f"it rents {kind} outside a Fleet, so the gate has not priced it; add it to crossover:fleet.nodes"
        return
    count = accelerators.machines(args.resource_type, args.props)
    if count is None:
        yield f"it names {found[0]}, and nothing of it says how many: make what says so a child of the Fleet, too"
    elif complaint := _too_many(args.urn, args.opts.parent, count):
        yield complaint


def _remember(urn: str, props: Mapping[str, Any]) -> None:
    fleet = unwrapped(props["fleet"])
    nodes = fleet.get("nodes")
    ladders = [_rungs(node["candidates"]) for node in nodes.values()] if isinstance(nodes, Mapping) else []
    with _lock:
        _ladders[urn] = Counter(ladders)
        _named[urn] = _of_the_program(fleet, ladders)
        _nodes.setdefault(urn, set())


def _of_the_program(fleet: Mapping[str, Any], ladders: list[tuple[Rung, ...]]) -> int:
    """How many nodes are the program's own resources: those at clouds that our plugin does not rent at."""
    from cost_guard.catalogue.clouds import declared, load_clouds  # when a Fleet passes, to start faster

    rented = {*load_clouds()} - {*declared()}
    if not ladders:
        return 0 if str(fleet.get("sku")).split("/")[0] in rented else int(fleet["nodes"])
    return sum(all(cloud not in rented for cloud, *_ in ladder) for ladder in ladders)


def _of_instance(args: ResourceValidationArgs, parents: list[str]) -> str | None:
    if not accelerators.EC2.match(args.props["instanceType"]):
        return None
    if names.FLEET not in parents:
        return "this GPU instance is outside a Fleet, so the gate has not priced it; add it to crossover:fleet.nodes"
    return _too_many(args.urn, _parents.get(args.opts.parent or "", args.opts.parent), 1)


def _too_many(urn: str, fleet: str | None, count: int) -> str | None:
    """Why `count` machines more are more than the Fleet names; None where they are not."""
    with _lock:
        if fleet is None or fleet not in _named:
            return (
                "the Fleet of this instance was not seen, so the gate has not priced it; make it a child of the Fleet"
            )
        seen = _machines.setdefault(fleet, {})
        seen[urn] = count
        if sum(seen.values()) > _named[fleet]:
            return (
                f"the Fleet has more machines with GPUs than the {_named[fleet]} nodes that the program itself makes "
                "in crossover:fleet.nodes"
            )
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

    if rungs and not any(cloud_facts(cloud).bills for cloud, *_ in rungs):
        return None
    free = " or ".join(not_billing())
    return f"a gateway's machine that bills money is not priced by the gate; put it on {free}, or on the fleet's nodes"


def _not_of_fleet(args: ResourceValidationArgs, rungs: tuple[Rung, ...]) -> str | None:
    fleet = args.opts.parent
    with _lock:
        if fleet not in _ladders:
            return "the Fleet of this node was not seen, so the gate has not priced it; make it a child of the Fleet"
        if rungs not in _ladders[fleet]:
            return "its candidates are none of those in crossover:fleet.nodes, so the gate has not priced it"
        _nodes[fleet].add(args.urn)
        if len(_nodes[fleet]) > (named := _ladders[fleet].total()):
            return f"the Fleet has more nodes than the {named} in crossover:fleet.nodes"
    return None


def _rungs(candidates: list[dict[str, Any]]) -> tuple[Rung, ...]:
    """What the gate prices by, and nothing else: the ceiling may change without a word here."""
    return tuple((rung["cloud"], rung["region"], rung["sku"], rung.get("standsFor")) for rung in candidates)


RULE = ResourceRule(
    code="node-outside-fleet",
    position=120,
    severity=Severity.CRITICAL,
    demand="Every rented node must be one that the cost gate has priced.",
    remedy="Rent it through crossover:fleet.nodes, which the gate prices; put a gateway of its own on a machine that "
    "bills nothing, or on the nodes.",
    never_waived="a node that nobody has priced is not covered by any verdict",
    looks_at=(
        *(names.FLEET, names.AWS_NODE, f"{OURS}*", *(f"!{kind}" for kind in RENT_NOTHING)),
        *(*sorted(INSTANCE_TYPES), *accelerators.TYPES),
    ),
    check=_check,
)
