"""What all machines of the stack share at AWS: network, security groups, instance profiles, key pair."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_aws as aws

from providers.clouds.aws.preflight.layout import subnet_cidr
from providers.clouds.aws.resources.identity import instance_profile
from providers.clouds.aws.resources.survey import Survey
from providers.clouds.aws.tags import shared_tags
from strict import names
from strict.names import GATEWAY_PORT, GATEWAY_ROLE, INFERENCE_ROLE, SSH_PORT


def key_pair_name(project: str, stack: str, public_key: str) -> str:
    """From the key's hash: another key has another name, so that one can be made before the other goes."""
    return f"{project}-{stack}-{hashlib.sha256(public_key.encode()).hexdigest()[:12]}"


class AwsNetwork(pulumi.ComponentResource):
    """Made once per stack. `subnets` maps a zone to a subnet; `groups` and `profiles` are by role.

    Nothing is open to the world: the nodes' services answer the gateway's security group, the gateway's endpoint
    answers `clientCidrs`, port 22 answers `access.ssh.cidrs`, and that of a node the other nodes.
    """

    survey: Survey
    subnets: Mapping[str, pulumi.Input[str]]
    groups: Mapping[str, pulumi.Output[str]]
    profiles: Mapping[str, pulumi.Output[str]]
    key_name: pulumi.Output[str]
    way_out: list[pulumi.Resource]
    """What a machine needs before it can reach the Internet, and what must not go before it."""

    def __init__(
        self,
        name: str,
        survey: Survey,
        *,
        node_ports: Mapping[str, int],
        gateway_ports: Mapping[str, int],
        ssh_public_key: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        own = pulumi.ResourceOptions(providers=[survey.provider])
        super().__init__(names.AWS_NETWORK, name, None, pulumi.ResourceOptions.merge(opts, own))
        self.survey = survey
        self._child = pulumi.ResourceOptions(parent=self)
        self.way_out = []
        vpc_id: pulumi.Input[str]
        if survey.settings.vpc_id:
            vpc_id, self.subnets = survey.settings.vpc_id, survey.subnet_ids
        else:
            vpc_id = self._vpc()
        self.groups = self._groups(vpc_id, node_ports, gateway_ports)
        self.profiles = {
            role: instance_profile(role, survey.settings, self._tags(role), self._child).name for role in survey.images
        }
        project, stack = pulumi.get_project(), pulumi.get_stack()
        public_key = pulumi.Output.from_input(ssh_public_key)
        self.key_name = aws.ec2.KeyPair(
            "key",
            key_name=public_key.apply(lambda key: key_pair_name(project, stack, key)),
            public_key=public_key,
            tags=self._tags("key"),
            # A pair that goes first would take the machines launched with it along.
            opts=self._options(delete_before_replace=False),
        ).key_name
        self.register_outputs({})

    def _options(self, **options: Any) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, **options)

    def _tags(self, name: str) -> dict[str, str]:
        return shared_tags(pulumi.get_project(), pulumi.get_stack(), name)

    def _vpc(self) -> pulumi.Output[str]:
        vpc = aws.ec2.Vpc(
            "vpc",
            cidr_block=self.survey.settings.vpc_cidr,  # as it was when the VPC was made
            enable_dns_support=True,
            # A machine's public name is its private address inside the VPC: installer and gateway share one address.
            enable_dns_hostnames=True,
            tags=self._tags("vpc"),
            opts=self._options(ignore_changes=["cidrBlock"]),
        )
        internet = aws.ec2.InternetGateway("internet", vpc_id=vpc.id, tags=self._tags("internet"), opts=self._child)
        table = aws.ec2.RouteTable("routes", vpc_id=vpc.id, tags=self._tags("routes"), opts=self._child)
        route = aws.ec2.Route(
            "out", route_table_id=table.id, destination_cidr_block="0.0.0.0/0", gateway_id=internet.id, opts=self._child
        )
        self.way_out.append(route)
        subnets = {}
        for zone in self.survey.zones:
            subnet = aws.ec2.Subnet(
                f"subnet-{zone}",
                vpc_id=vpc.id,
                availability_zone=zone,
                map_public_ip_on_launch=True,
                cidr_block=subnet_cidr(self.survey.settings.vpc_cidr, zone),
                tags=self._tags(zone),
                opts=self._options(ignore_changes=["cidrBlock"]),
            )
            association = aws.ec2.RouteTableAssociation(
                f"routes-{zone}", subnet_id=subnet.id, route_table_id=table.id, opts=self._child
            )
            subnets[zone] = subnet.id
            self.way_out.append(association)
        self.subnets = subnets
        return vpc.id

    def _groups(
        self, vpc_id: pulumi.Input[str], node_ports: Mapping[str, int], gateway_ports: Mapping[str, int]
    ) -> dict[str, pulumi.Output[str]]:
        settings = self.survey.settings
        clients = [_from_cidrs(gateway_ports[GATEWAY_PORT], settings.client_cidrs)] if settings.client_cidrs else []
        gateway = self._group(GATEWAY_ROLE, vpc_id, [*self._people(gateway_ports), *clients])
        serving = [
            aws.ec2.SecurityGroupIngressArgs(
                protocol="tcp", from_port=port, to_port=port, security_groups=[gateway], description=service
            )
            for service, port in sorted(node_ports.items())
            if service != SSH_PORT
        ]
        ssh = node_ports[SSH_PORT]
        # Nodes copy weights from one another, at the addresses that they have inside the VPC.
        among = aws.ec2.SecurityGroupIngressArgs(
            protocol="tcp", from_port=ssh, to_port=ssh, self=True, description="weights from node to node"
        )
        nodes = self._group(INFERENCE_ROLE, vpc_id, [*self._people(node_ports), among, *serving])
        return {GATEWAY_ROLE: gateway, INFERENCE_ROLE: nodes}

    def _people(self, ports: Mapping[str, int]) -> list[aws.ec2.SecurityGroupIngressArgs]:
        cidrs = self.survey.settings.access.cidrs
        return [_from_cidrs(ports[SSH_PORT], cidrs)] if cidrs else []

    def _group(
        self, role: str, vpc_id: pulumi.Input[str], ingress: list[aws.ec2.SecurityGroupIngressArgs]
    ) -> pulumi.Output[str]:
        """Rules stand in the group itself: one that somebody adds elsewhere is drift, and `up` removes it."""
        return aws.ec2.SecurityGroup(
            f"{role}-group",
            vpc_id=vpc_id,
            description=f"crossover {role}",
            ingress=ingress,
            egress=[aws.ec2.SecurityGroupEgressArgs(protocol="-1", from_port=0, to_port=0, cidr_blocks=["0.0.0.0/0"])],
            tags=self._tags(role),
            opts=self._child,
        ).id


def _from_cidrs(port: int, cidrs: tuple[str, ...]) -> aws.ec2.SecurityGroupIngressArgs:
    return aws.ec2.SecurityGroupIngressArgs(protocol="tcp", from_port=port, to_port=port, cidr_blocks=list(cidrs))
