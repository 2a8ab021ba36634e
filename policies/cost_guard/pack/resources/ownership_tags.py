"""Rule ownership-tags: what the stack makes says whose it is, so that `crossover orphans` can tell what nobody owns.

AWS resources carry the tag crossover:fleet, instances crossover:mark too; a Node's inputs name project, stack, key,
role and generation. All must be those of the stack.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from cost_guard.codes import Severity
from cost_guard.pack.rule import ResourceRule
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


def _check(args: ResourceValidationArgs, _: Any) -> Iterable[str]:
    stack, project = names.stack_of(args.urn), names.project_of(args.urn)
    if args.resource_type == names.NODE:
        yield from _node(args.props, project, stack)
    elif args.resource_type in TAGGED or "tags" in args.props:
        tags = args.props.get("tags", {})
        for tag in (FLEET_TAG, *((MARK_TAG,) if args.resource_type == names.AWS_INSTANCE else ())):
            owner = f"crossover:{project}:{stack}:" if tag == MARK_TAG else f"{project}:{stack}:"
            if tag not in tags or not str(tags[tag]).startswith(owner):
                yield f"its tag {tag} must begin with {owner}"


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
    remedy="Tag it as providers/clouds/aws/tags.py does; make nodes with providers.resources.Node.",
    looks_at=(names.NODE, "aws:*"),
    check=_check,
    unknown="noted",
)
