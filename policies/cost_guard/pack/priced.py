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
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from cost_guard import wording
from cost_guard.catalogue.catalogue import load_catalogue
from cost_guard.catalogue.resources import allowed_types, resource_prices
from cost_guard.pack.rule import unknown_value
from strict import names
from strict.numbers import parse_number

if TYPE_CHECKING:  # to start faster: see `pack.rule`
    from pulumi_policy import PolicyResource

Props = Mapping[str, Any]
LATER = "only `up` knows what it costs"


@dataclass(frozen=True)
class Billed:
    """One thing that is paid for: a key of the catalogue, and how much of it."""

    key: str
    """`cloud/service/kind`; of an instance `cloud/type`, as in prices.toml."""
    what: str
    gb: Decimal = Decimal(0)
    iops: Decimal = Decimal(0)
    mbps: Decimal = Decimal(0)


@dataclass(frozen=True)
class PricedResources:
    """What the resources of a plan cost together, beside the nodes of its Fleets."""

    usd_per_month: Decimal
    lines: tuple[str, ...]
    """ "3 × disk of 500 GB gp3, $40 each", the dearest first."""
    unpriced: Mapping[str, str]
    """URN → why its price is not known; it is not in the sum."""


def _disk(props: Props, prefix: str, default: str) -> Iterator[Billed]:
    """A volume's own keys (`size`, `type`), or those of a block device of an instance (`volumeSize`, `volumeType`)."""
    size = props.get(f"{prefix}Size" if prefix else "size")
    if size is None:  # of the image, or of a snapshot
        return
    kind = str(props.get(f"{prefix}Type" if prefix else "type") or default)
    gb, iops, mbps = (parse_number(value or 0) for value in (size, _given(props, "iops"), _given(props, "throughput")))
    yield Billed(f"aws/ebs/{kind}", f"disk of {wording.trimmed(gb)} GB {kind}", gb, iops, mbps)


def _given(props: Props, key: str) -> Any:
    """What the program says; None for what the provider will fill in, which a preview shows as unknown."""
    with suppress(unknown_value()):
        return props.get(key)
    return None


def _volume(props: Props, urn: str) -> Iterator[Billed]:
    yield from _disk(props, "", "gp2")


def _instance(props: Props, urn: str) -> Iterator[Billed]:
    """Its disks; and itself, where no Fleet has priced it."""
    if names.FLEET not in names.parents_of(urn):
        kind = str(props["instanceType"])
        yield Billed(f"aws/{kind}", f"instance {kind}")
    root = _given(props, "rootBlockDevice")
    for device in (*([root] if root else []), *(_given(props, "ebsBlockDevices") or ())):
        yield from _disk(device, "volume", "gp2")


def _balancer(props: Props, urn: str) -> Iterator[Billed]:
    kind = str(props.get("loadBalancerType") or "application")
    yield Billed(f"aws/lb/{kind}", f"{kind} load balancer")


PRICED: Mapping[str, Callable[[Props, str], Iterator[Billed]]] = {
    "aws:alb/loadBalancer:LoadBalancer": _balancer,
    "aws:ebs/volume:Volume": _volume,
    "aws:ec2/natGateway:NatGateway": lambda props, urn: iter([Billed("aws/nat/gateway", "NAT gateway")]),
    "aws:elb/loadBalancer:LoadBalancer": lambda props, urn: iter([Billed("aws/lb/classic", "classic load balancer")]),
    "aws:lb/loadBalancer:LoadBalancer": _balancer,
    names.AWS_INSTANCE: _instance,
    names.AWS_SPOT_INSTANCE: _instance,
}
"""Resource type → what is paid for of a resource of it. A spot instance counts at the list price."""


def priced_resources_usd_per_month(resources: Iterable[PolicyResource]) -> PricedResources:
    """What they cost together: those of types in PRICED and in allowed-types.toml; others count nothing. Raises
    CatalogueError."""
    total, told, unpriced = Decimal(0), Counter[tuple[Decimal, str]](), dict[str, str]()
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
    lines = tuple(f"{number} × {words}, {wording.usd(usd)} each" for (usd, words), number in order)
    return PricedResources(total, lines, unpriced)


class NoPrice(Exception):
    """The catalogue has no price for it; the message says which row is missing."""


def costs(resource: PolicyResource) -> list[tuple[Decimal, str]]:
    """USD a month and words, of each thing that is paid for; empty for what nothing here prices. Raises NoPrice,
    UnknownValueError and CatalogueError."""
    if resource.resource_type in PRICED:
        region = _region(resource)
        return [_price(one, region) for one in PRICED[resource.resource_type](resource.props, resource.urn)]
    row = allowed_types().get(resource.resource_type)
    return [] if row is None else [(row.usd_per_month, resource.resource_type)]


def _price(one: Billed, region: str) -> tuple[Decimal, str]:
    node = load_catalogue().prices.get(one.key)
    if node is not None:
        return node.usd_per_month, f"{one.what}{_elsewhere(node.region, region)}"
    rows = resource_prices()
    cloud, _, kind = one.key.partition("/")
    key = one.key if "/" in kind else f"{cloud}/ec2/{kind}"
    row = rows.get(f"{key}@{region}") or rows.get(key)
    if row is None:
        raise NoPrice(f"nothing says what {one.what} costs; add a row {key!r} to the pack's data/resources.toml")
    return row.usd_per_month(one.gb, one.iops, one.mbps), f"{one.what}{_elsewhere(row.region, region)}"


def _elsewhere(of: str, region: str) -> str:
    return f" (price of {of})" if of and region and of != region else ""


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
