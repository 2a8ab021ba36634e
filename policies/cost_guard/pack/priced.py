"""What a plan makes beside the nodes of a Fleet and has a list price: disks, NAT gateways, load balancers, instances.

The nodes themselves are the verdict's. What a resource costs is a row of the catalogue (`data/resources.toml`, for
instances `data/prices.toml` too) or of `allowed-types.toml`; what is billed by use (data sent or processed) is in no
plan.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from cost_guard import wording
from cost_guard.catalogue.catalogue import load_catalogue
from cost_guard.pack.rule import unknown_value
from cost_guard.scenario.sections.beside import BilledResource
from cost_guard.verdict.facts.beside import NoPrice, list_price
from cost_guard.verdict.words import money
from strict import names
from strict.numbers import parse_number

if TYPE_CHECKING:  # to start faster: see `pack.rule`
    from pulumi_policy import PolicyResource

Props = Mapping[str, Any]
LATER = "only `up` knows what it costs"


@dataclass(frozen=True)
class PricedResources:
    """What the resources of a plan cost together, beside the nodes of its Fleets."""

    usd_per_month: Fraction
    lines: tuple[str, ...]
    """ "3 × disk of 500 GB gp3, $40 each", the dearest first."""
    unpriced: Mapping[str, str]
    """URN → why its price is not known; it is not in the sum."""


def _disk(props: Props, prefix: str, default: str) -> Iterator[BilledResource]:
    """A volume's own keys (`size`, `type`), or those of a block device of an instance (`volumeSize`, `volumeType`)."""
    size = props.get(f"{prefix}Size" if prefix else "size")
    if size is None:  # of the image, or of a snapshot
        return
    kind = str(props.get(f"{prefix}Type" if prefix else "type") or default)
    gb, iops, mbps = (parse_number(value or 0) for value in (size, _given(props, "iops"), _given(props, "throughput")))
    what = f"disk of {wording.trimmed(gb)} GB {kind}"
    yield BilledResource(row=f"aws/ebs/{kind}", what=what, gb=gb, iops=iops, mbps=mbps)


def _given(props: Props, key: str) -> Any:
    """What the program says; None for what the provider will fill in, which a preview shows as unknown."""
    with suppress(unknown_value()):
        return props.get(key)
    return None


def _volume(props: Props, urn: str) -> Iterator[BilledResource]:
    yield from _disk(props, "", "gp2")


def _instance(props: Props, urn: str) -> Iterator[BilledResource]:
    """Its disks; and itself, where no Fleet has priced it."""
    if names.FLEET not in names.parents_of(urn):
        kind = str(props["instanceType"])
        yield BilledResource(row=f"aws/{kind}", what=f"instance {kind}")
    root = _given(props, "rootBlockDevice")
    for device in (*([root] if root else []), *(_given(props, "ebsBlockDevices") or ())):
        yield from _disk(device, "volume", "gp2")


def _balancer(props: Props, urn: str) -> Iterator[BilledResource]:
    kind = str(props.get("loadBalancerType") or "application")
    yield BilledResource(row=f"aws/lb/{kind}", what=f"{kind} load balancer")


def _one(row: str, what: str) -> Callable[[Props, str], Iterator[BilledResource]]:
    return lambda props, urn: iter([BilledResource(row=row, what=what)])


PRICED: Mapping[str, Callable[[Props, str], Iterator[BilledResource]]] = {
    "aws:alb/loadBalancer:LoadBalancer": _balancer,
    "aws:ebs/volume:Volume": _volume,
    "aws:ec2/natGateway:NatGateway": _one("aws/nat/gateway", "NAT gateway"),
    "aws:elb/loadBalancer:LoadBalancer": _one("aws/lb/classic", "classic load balancer"),
    "aws:lb/loadBalancer:LoadBalancer": _balancer,
    names.AWS_INSTANCE: _instance,
    names.AWS_SPOT_INSTANCE: _instance,
}
"""Resource type → what is paid for of a resource of it. A spot instance counts at the list price."""


def priced_resources_usd_per_month(resources: Iterable[PolicyResource]) -> PricedResources:
    """What they cost together: those of types in PRICED and in allowed-types.toml; others count nothing. Raises
    CatalogueError."""
    total, told, unpriced = Fraction(0), Counter[tuple[Fraction, str]](), dict[str, str]()
    for resource in resources:
        try:
            for usd, words in costs(resource):
                total += usd
                told[usd, words] += 1
        except NoPrice as error:
            unpriced[resource.urn] = str(error)
        except unknown_value():
            unpriced[resource.urn] = LATER
    order = sorted(told.items(), key=lambda one: (-one[0][0] * one[1], one[0][1]))
    lines = tuple(f"{number} × {words}, {money(usd)} each" for (usd, words), number in order)
    return PricedResources(total, lines, unpriced)


def costs(resource: PolicyResource) -> list[tuple[Fraction, str]]:
    """USD a month and words, of each thing that is paid for; empty for what nothing here prices. Raises NoPrice,
    UnknownValueError and CatalogueError."""
    catalogue = load_catalogue()
    if resource.resource_type in PRICED:
        region = _region(resource)
        found = PRICED[resource.resource_type](resource.props, resource.urn)
        return [list_price(one.model_copy(update={"region": region}), catalogue) for one in found]
    row = catalogue.allowed.get(resource.resource_type)
    return [] if row is None else [(Fraction(row.usd_per_month), resource.resource_type)]


def has_a_price(resource: Any) -> bool:
    """Of the engine's own message. Raises CatalogueError."""
    return resource.type in PRICED or resource.type in load_catalogue().allowed


def _region(resource: PolicyResource) -> str:
    """Where it is, as far as a plan says: its own region, its zone's, or its provider's. Empty where nothing does."""
    props = resource.props
    with_unknowns = (unknown_value(), KeyError, TypeError)
    try:
        if props.get("region"):
            return str(props["region"])
        if props.get("availabilityZone"):
            return str(props["availabilityZone"]).rstrip("abcdefgh")
        provider = resource.provider
        return str(provider.props.get("region") or "") if provider is not None else ""
    except with_unknowns:
        return ""
