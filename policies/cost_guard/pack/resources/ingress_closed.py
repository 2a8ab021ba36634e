"""Rule ingress-closed: no firewall admits the world, nor parts of it that add up to a good deal of it.

Of AWS the groups, their single rules, network ACLs and prefix lists; of other clouds the firewall settings in a Node's
inputs. Ranges are joined before they are judged. What only `up` knows is noted in preview and holds in `up`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from typing import TYPE_CHECKING, Any

from pydantic import Field

from cost_guard.codes import Severity
from cost_guard.pack.rule import NoConfig, ResourceRule, unknown_value
from strict import names

if TYPE_CHECKING:  # to start faster: see `pack.rule`
    from pulumi_policy import ResourceValidationArgs

MOST = 1 / 64
"""Of all addresses of a version, what ranges may admit together unless one range alone may be wider: four /8."""
Props = Mapping[str, Any]


class IngressConfig(NoConfig):
    """The widest ranges that may be admitted, as prefix lengths."""

    widest_ipv4_prefix: int = Field(8, ge=1, le=32)
    widest_ipv6_prefix: int = Field(16, ge=1, le=128)


def _values(props: Props, *keys: str) -> Iterator[Any]:
    """What the keys hold, lists taken apart; a key that is absent holds nothing."""
    for key in keys:
        value = props.get(key)
        if value is None:
            continue
        yield from [value] if isinstance(value, str | Mapping) else value


def _group(props: Props) -> Iterator[str]:
    for entry in _values(props, "ingress"):
        yield from _values(entry, "cidrBlocks", "ipv6CidrBlocks")


def _group_rule(props: Props) -> Iterator[str]:
    if props["type"] == "ingress":
        yield from _values(props, "cidrBlocks", "ipv6CidrBlocks")


def _acl(props: Props) -> Iterator[str]:
    for entry in _values(props, "ingress"):
        if str(entry["action"]).lower() == "allow":
            yield from _values(entry, "cidrBlock", "ipv6CidrBlock")


def _acl_rule(props: Props) -> Iterator[str]:
    if not (props.get("egress")) and str(props["ruleAction"]).lower() == "allow":
        yield from _values(props, "cidrBlock", "ipv6CidrBlock")


def _node(props: Props) -> Iterator[str]:
    from cost_guard.catalogue.clouds import cloud_facts  # when a Node passes, to start faster

    for cloud in dict.fromkeys(rung["cloud"] for rung in _values(props, "candidates")):
        yield from _values(props.get("settings", {}).get(cloud, {}), *cloud_facts(cloud).admits)


ADMITTED: dict[str, Callable[[Props], Iterator[str]]] = {
    "aws:ec2/securityGroup:SecurityGroup": _group,
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": _group,
    "aws:ec2/securityGroupRule:SecurityGroupRule": _group_rule,
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": lambda props: _values(props, "cidrIpv4", "cidrIpv6"),
    "aws:ec2/networkAcl:NetworkAcl": _acl,
    "aws:ec2/defaultNetworkAcl:DefaultNetworkAcl": _acl,
    "aws:ec2/networkAclRule:NetworkAclRule": _acl_rule,
    "aws:ec2/managedPrefixList:ManagedPrefixList": lambda props: (e["cidr"] for e in _values(props, "entries")),
    "aws:ec2/managedPrefixListEntry:ManagedPrefixListEntry": lambda props: _values(props, "cidr"),
    names.NODE: _node,
}
"""Resource type → the ranges that it admits."""


def _check(args: ResourceValidationArgs, config: IngressConfig) -> Iterable[str]:
    ranges: list[IPv4Network | IPv6Network] = []
    unknown: Exception | None = None
    admitted = ADMITTED[args.resource_type](args.props)
    try:
        for text in admitted:
            try:
                ranges.append(ip_network(text, strict=False))
            except ValueError:
                yield f"{text!r} is no range of addresses"
    except unknown_value() as error:  # the ranges before it are judged all the same
        unknown = error
    if v4 := [one for one in ranges if isinstance(one, IPv4Network)]:
        yield from _too_wide(list(collapse_addresses(v4)), 4, config.widest_ipv4_prefix)
    if v6 := [one for one in ranges if isinstance(one, IPv6Network)]:
        yield from _too_wide(list(collapse_addresses(v6)), 6, config.widest_ipv6_prefix)
    if unknown is not None:
        raise unknown


def _too_wide(joined: Sequence[IPv4Network | IPv6Network], version: int, widest: int) -> Iterator[str]:
    wide = [network for network in joined if network.prefixlen < widest]
    for network in wide:
        yield f"it admits {network}, which is wider than /{widest}: as good as the world"
    share = sum(2.0**-network.prefixlen for network in joined)
    if not wide and share > max(MOST, 2.0**-widest):
        yield f"its ranges together admit {share:.0%} of all IPv{version} addresses: as good as the world"


RULE = ResourceRule(
    code="ingress-closed",
    position=130,
    severity=Severity.CRITICAL,
    demand="No firewall admits the world.",
    remedy="Name the ranges of those who may connect, e.g. 203.0.113.7/32, or admit a security group.",
    key=("clouds",),
    looks_at=tuple(ADMITTED),
    check=_check,
    config=IngressConfig,
    unknown="noted",
)
