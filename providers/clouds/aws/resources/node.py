"""A machine at AWS with the outputs of a gpucloud Node, so that an Install can put a bundle onto it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pulumi
import pulumi_aws as aws

from providers.base import Candidate, Owner, placed, plain_host
from providers.clouds.aws import session
from providers.clouds.aws.config import DISK, AwsSettings
from providers.clouds.aws.machines import SSH_USER, scratch
from providers.clouds.aws.resources.network import AwsNetwork
from providers.clouds.aws.tags import STACK_ID, USD_PER_HOUR, WAY_IN, machine_tags, told
from providers.renting.firstboot import user_data
from providers.renting.hostkeys import one_use
from providers.renting.naming import machine_name
from providers.resources import FirstContact
from strict.names import GATEWAY_ROLE

REPLACING = ("ami", "availabilityZone", "keyName", "subnetId", "associatePublicIpAddress", "instanceMarketOptions")
STOPPING = ("instanceType", "userData", "userDataBase64", "capacityReservationSpecification")
_TOLD_AT_LAUNCH = (
    f'tags["{USD_PER_HOUR}"]',
    f'tags["{STACK_ID}"]',
    f'rootBlockDevice.tags["{STACK_ID}"]',
)
KEPT = (*REPLACING, *STOPPING, *_TOLD_AT_LAUNCH)
"""Inputs whose edit would replace or stop a machine that may not be had again (aws_instance of provider 5.100): they
apply to the next machine, which a raised generation brings."""

METADATA = {
    "http_endpoint": "enabled",
    "http_tokens": "required",  # IMDSv2 alone
    "http_put_response_hop_limit": 2,  # so that containers reach it
}


class AwsNode(pulumi.ComponentResource):
    """One EC2 instance, in the zone that the network's survey chose for its key. `machine`, `failureDomain` and
    `usdPerHour` are those of `providers.resources.Node`; `instance` is what an Install's `deleted_with` names.

    `usd_per_hour` is the catalogue's price, as AWS bills by its list; None where it has none. `deadline_s` bounds the
    wait for first contact. Raises pulumi.RunError where the price is above the candidate's ceiling.
    """

    instance: aws.ec2.Instance
    machine: pulumi.Output[dict[str, Any]]
    failureDomain: pulumi.Output[str]
    usdPerHour: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        network: AwsNetwork,
        *,
        key: str,
        role: str,
        candidate: Candidate,
        ports: Mapping[str, int],
        usd_per_hour: Decimal | None,
        ssh_private_key: pulumi.Input[str],
        stack_id: pulumi.Input[str],
        generation: int = 1,
        deadline_s: int = 1800,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        _refuse_dear(key, candidate, usd_per_hour)
        own = pulumi.ResourceOptions(providers=[network.survey.provider])
        super().__init__("crossover:aws:Node", name, None, pulumi.ResourceOptions.merge(opts, own))
        owner = Owner(pulumi.get_project(), pulumi.get_stack(), role, key, generation)
        way_in = {WAY_IN: "ssm" if network.survey.settings.access.ssm else "ssh"}
        self.instance = aws.ec2.Instance(
            name,
            instance_type=candidate.sku,
            **_placed(network, owner, stack_id),
            # Not `user_data`, which version 6 keeps as a hash and version 7 as it is.
            user_data_base64=_first_boot(ssh_private_key, owner),
            metadata_options=METADATA,
            disable_api_termination=True,
            tags={**machine_tags(owner), STACK_ID: stack_id, **told(ports, usd_per_hour), **way_in},
            opts=self._kept(network, generation),
        )
        self.machine = self._contact(name, network.survey.settings, owner, ports, ssh_private_key, deadline_s)
        self.failureDomain = self.instance.availability_zone.apply(lambda known: f"aws/{known}")
        self.usdPerHour = pulumi.Output.from_input("" if usd_per_hour is None else str(usd_per_hour))
        self.register_outputs(
            {"machine": self.machine, "failureDomain": self.failureDomain, "usdPerHour": self.usdPerHour}
        )

    def _kept(self, network: AwsNetwork, generation: int) -> pulumi.ResourceOptions:
        """Only a raised generation replaces, and the old machine goes first: capacity and quota are for one."""
        return pulumi.ResourceOptions(
            parent=self,
            depends_on=network.way_out,
            ignore_changes=list(KEPT),
            replacement_trigger=generation,
            delete_before_replace=True,
            custom_timeouts=pulumi.CustomTimeouts(create="30m", delete="30m"),
        )

    def _contact(
        self,
        name: str,
        settings: AwsSettings,
        owner: Owner,
        ports: Mapping[str, int],
        ssh_private_key: pulumi.Input[str],
        deadline_s: int,
    ) -> pulumi.Output[dict[str, Any]]:
        address = self.instance.public_dns if settings.public_addresses else self.instance.private_ip
        region = settings.region if settings.access.ssm else None
        return FirstContact(
            f"{name}-contact",
            reported=pulumi.Output.all(self.instance.id, address).apply(
                lambda known: reported(known[0], known[1], ports, ssm_region=region, scratch=scratch(owner.role))
            ),
            machine_name=machine_name(owner),
            ssh_private_key=ssh_private_key,
            deadline_s=deadline_s,
            # Nothing is lost with it, and a protected one would stand in the way of a raised generation.
            opts=pulumi.ResourceOptions(parent=self, protect=False),
        ).machine


def _placed(network: AwsNetwork, owner: Owner, stack_id: pulumi.Input[str]) -> dict[str, Any]:
    """The instance's inputs that its role decides, by the network's survey: image, zone, disk, and who reaches it."""
    survey, settings = network.survey, network.survey.settings
    gateway = owner.role == GATEWAY_ROLE
    zone = survey.node_zones[GATEWAY_ROLE if gateway else owner.key]
    return {
        "ami": survey.images[owner.role],
        "availability_zone": zone,
        "subnet_id": network.subnets[zone],
        # Our own subnets give public addresses by themselves; of others it is not known.
        "associate_public_ip_address": settings.public_addresses if settings.vpc_id else None,
        "vpc_security_group_ids": [network.groups[owner.role]],
        "iam_instance_profile": network.profiles[owner.role],
        "key_name": network.key_name,
        "root_block_device": {
            "encrypted": True,
            "volume_type": DISK,
            "volume_size": settings.gateway_root_gb if gateway else settings.root_gb,
            "delete_on_termination": True,
            "tags": {**machine_tags(owner), STACK_ID: stack_id},
        },
        **({} if gateway else reserved(settings)),
    }


def _first_boot(ssh_private_key: pulumi.Input[str], owner: Owner) -> pulumi.Output[str]:
    """The cloud-init document with the one-use host key, in base64."""
    host_key = pulumi.Output.secret(ssh_private_key).apply(lambda private: one_use(private, machine_name(owner)))
    return host_key.apply(lambda made: base64.b64encode(user_data(made).encode()).decode())


def _refuse_dear(key: str, candidate: Candidate, usd_per_hour: Decimal | None) -> None:
    """Raises pulumi.RunError for a price above the candidate's ceiling."""
    ceiling = candidate.max_usd_per_hour
    if ceiling is not None and usd_per_hour is not None and usd_per_hour > ceiling:
        raise pulumi.RunError(
            f"node {key}: {candidate.sku} costs ${usd_per_hour}/h at AWS, above its maxUsdPerHour of ${ceiling}: raise "
            "the ceiling or take another candidate"
        )


def reported(
    instance_id: str, address: str, ports: Mapping[str, int], *, ssm_region: str | None = None, scratch: str = ""
) -> dict[str, Any]:
    """The machine as a host before first contact. With `ssm_region`, SSH goes through Session Manager there; `scratch`
    is where its fast disks may be mounted."""
    tunnel = session.tunnel(ssm_region, instance_id) if ssm_region else ""
    machine = placed(
        "aws", instance_id, address=address, ports=ports, ssh_user=SSH_USER, tunnel=tunnel, scratch=scratch
    )
    return plain_host(machine)


def reserved(settings: AwsSettings) -> dict[str, Any]:
    """The instance's inputs that put it into the reservation or block of the settings; empty without."""
    if settings.reservation is None:
        return {}
    target = {"capacity_reservation_target": {"capacity_reservation_id": settings.reservation}}
    block = {"instance_market_options": {"market_type": "capacity-block"}} if settings.capacity_block_id else {}
    return {"capacity_reservation_specification": target, **block}
