"""Rule ownership-tags: what the stack makes says whose it is, so that `crossover orphans` can tell what nobody owns.

AWS resources carry the tag crossover:fleet, instances crossover:mark too; a Node's inputs name project, stack, key,
role and generation. All must be those of the stack.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pulumi_policy import ResourceValidationArgs, Severity

from cost_guard.pack.rule import rule

NODE_TYPE = "gpucloud:index:Node"
OWNER = ("project", "stack", "key", "role", "generation")
FLEET_TAG, MARK_TAG = "crossover:fleet", "crossover:mark"
INSTANCE = "aws:ec2/instance:Instance"
TAGGED = {
    INSTANCE,
    "aws:ebs/volume:Volume",
    "aws:ec2/eip:Eip",
    "aws:ec2/internetGateway:InternetGateway",
    "aws:ec2/keyPair:KeyPair",
    "aws:ec2/launchTemplate:LaunchTemplate",
    "aws:ec2/natGateway:NatGateway",
    "aws:ec2/networkInterface:NetworkInterface",
    "aws:ec2/routeTable:RouteTable",
    "aws:ec2/securityGroup:SecurityGroup",
    "aws:ec2/spotInstanceRequest:SpotInstanceRequest",
    "aws:ec2/subnet:Subnet",
    "aws:ec2/vpc:Vpc",
    "aws:iam/instanceProfile:InstanceProfile",
    "aws:iam/role:Role",
    "aws:lb/loadBalancer:LoadBalancer",
}
"""These must have tags; any other resource of AWS must have ours if it has any."""


def _check(args: ResourceValidationArgs, _: Any) -> Iterable[str]:
    stack, project = args.urn.split("::")[0].removeprefix("urn:pulumi:"), args.urn.split("::")[1]
    if args.resource_type == NODE_TYPE:
        yield from _node(args.props, project, stack)
    elif args.resource_type in TAGGED or "tags" in args.props:
        tags = args.props.get("tags", {})
        for tag in (FLEET_TAG, *((MARK_TAG,) if args.resource_type == INSTANCE else ())):
            owner = f"crossover:{project}:{stack}:" if tag == MARK_TAG else f"{project}:{stack}:"
            if tag not in tags or not str(tags[tag]).startswith(owner):
                yield f"its tag {tag} must begin with {owner}"


def _node(props: Mapping[str, Any], project: str, stack: str) -> Iterable[str]:
    if missing := [name for name in OWNER if name not in props or props[name] in (None, "")]:
        yield f"its inputs do not say whose it is: {', '.join(missing)} missing"
    elif (props["project"], props["stack"]) != (project, stack):
        yield f"its inputs say that it belongs to another stack than {project}/{stack}"


RULE = rule(
    "ownership-tags",
    Severity.MEDIUM,
    "What the stack makes says whose it is.",
    "Tag it as providers/clouds/aws/tags.py does; make nodes with providers.resources.Node.",
    (NODE_TYPE, "aws:*"),
    _check,
    unknown="noted",
)
