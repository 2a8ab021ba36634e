"""Rule ownership-tags: what the stack makes says whose it is, so that `crossover orphans` can tell what nobody owns.

AWS resources that our components make carry the tag crossover:fleet, instances crossover:mark too; a Node's inputs name
project, stack, key, role and generation. All must be those of the stack. What a program makes elsewhere carries the
tags that the rule's configuration names, and none of ours: `type-allowed` says whether a stack of ours may make it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from cost_guard.codes import Severity
from cost_guard.pack.rule import NoConfig, ResourceRule
from strict import names

if TYPE_CHECKING:  # to start faster: see `pack.rule`
    from pulumi_policy import ResourceValidationArgs

OWNER = ("project", "stack", "key", "role", "generation")
FLEET_TAG, MARK_TAG = "crossover:fleet", "crossover:mark"
TAGGED = {
    names.AWS_INSTANCE,
    "aws:ebs/volume:Volume",
    "aws:ec2/eip:Eip",
    "aws:ec2/internetGateway:InternetGateway",
    "aws:ec2/keyPair:KeyPair",
    "aws:ec2/launchTemplate:LaunchTemplate",
    "aws:ec2/natGateway:NatGateway",
    "aws:ec2/networkInterface:NetworkInterface",
    "aws:ec2/routeTable:RouteTable",
    "aws:ec2/securityGroup:SecurityGroup",
    names.AWS_SPOT_INSTANCE,
    "aws:ec2/subnet:Subnet",
    "aws:ec2/vpc:Vpc",
    "aws:iam/instanceProfile:InstanceProfile",
    "aws:iam/role:Role",
    "aws:lb/loadBalancer:LoadBalancer",
}
"""These must have tags; any other resource of AWS must have ours if it has any."""


class TagsConfig(NoConfig):
    """The tags that every resource of AWS carries, in any value, whoever makes it."""

    tags: tuple[str, ...] = ()


def _check(args: ResourceValidationArgs, config: TagsConfig) -> Iterable[str]:
    stack, project = names.stack_of(args.urn), names.project_of(args.urn)
    if args.resource_type == names.NODE:
        yield from _node(args.props, project, stack)
    elif args.resource_type in TAGGED or "tags" in args.props:
        tags = args.props.get("tags", {})
        if missing := [tag for tag in config.tags if tag not in tags]:
            yield f"it has no tag {' and no tag '.join(missing)}, which the rule's configuration asks for"
        if not _is_ours(args.urn):
            return
        for tag in (FLEET_TAG, *((MARK_TAG,) if args.resource_type == names.AWS_INSTANCE else ())):
            owner = f"crossover:{project}:{stack}:" if tag == MARK_TAG else f"{project}:{stack}:"
            if tag not in tags or not str(tags[tag]).startswith(owner):
                yield f"its tag {tag} must begin with {owner}"


def _is_ours(urn: str) -> bool:
    """Whether one of our components makes it; a program of others may have a Fleet, too."""
    return any(parent in (names.AWS_NETWORK, names.AWS_NODE) for parent in names.parents_of(urn))


def _node(props: Mapping[str, Any], project: str, stack: str) -> Iterable[str]:
    if missing := [name for name in OWNER if name not in props or props[name] in (None, "")]:
        yield f"its inputs do not say whose it is: {', '.join(missing)} missing"
    elif (props["project"], props["stack"]) != (project, stack):
        yield f"its inputs say that it belongs to another stack than {project}/{stack}"


RULE = ResourceRule(
    code="ownership-tags",
    position=160,
    severity=Severity.MEDIUM,
    demand="What the stack makes says whose it is.",
    remedy="Tag it as providers/clouds/aws/tags.py does, or as the rule is configured; make nodes with "
    "providers.resources.Node.",
    looks_at=(names.NODE, "aws:*"),
    check=_check,
    config=TagsConfig,
    unknown="noted",
)
