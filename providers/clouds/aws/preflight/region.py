"""The one module that asks AWS before anything is made there: what one region of one account says, as it stands."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from providers.clouds.aws import machines, offering
from providers.clouds.aws.client import AwsClient
from providers.clouds.aws.config import IMAGE_ID, IMAGES
from providers.clouds.aws.preflight.quota import Quota
from providers.errors import InvalidRequest, NotFound

IN_THEIR_ZONE = ("pending", "running", "stopping", "stopped")
"""EC2's states of machines that hold, or may hold again, a place in their zone."""
Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Region:
    """Each method raises CloudError, which names the region and what was asked."""

    client: AwsClient
    name: str

    def _ask(self, service: str, operation: str, **arguments: Any) -> Answer:
        return self.client.ask(service, operation, self.name, **arguments)

    def identity(self) -> str:
        """Who asks."""
        known = self._ask("sts", "get_caller_identity")
        return f"{known['Account']} as {known['Arn']}"

    def zones(self, skus: Iterable[str] = ()) -> dict[str, tuple[str, ...]]:
        """Type → the zones that offer it, of these types or of all; a type that none offers is left out."""
        return offering.zones(self.client, self.name, sorted(set(skus)))

    def types(self, skus: Iterable[str]) -> dict[str, Answer]:
        """Type → what EC2 says of it."""
        return offering.types(self.client, self.name, sorted(set(skus)))

    def limit_vcpus(self, quota: Quota) -> float:
        """The account's own limit, or AWS' default where it has none."""
        asked = {"ServiceCode": "ec2", "QuotaCode": quota.code}
        try:
            answer = self._ask("service-quotas", "get_service_quota", **asked)
        except NotFound:
            answer = self._ask("service-quotas", "get_aws_default_service_quota", **asked)
        return float(answer["Quota"]["Value"])

    def instances(self) -> list[Answer]:
        """All that hold a place, whoever's they are."""
        living = [{"Name": "instance-state-name", "Values": [*IN_THEIR_ZONE]}]
        return machines.instances(self._ask("ec2", "describe_instances", Filters=living))

    def has_host_names(self, vpc_id: str) -> bool:
        """Whether machines in the VPC have DNS names, and find one another by them."""
        asked = {"enableDnsSupport": "EnableDnsSupport", "enableDnsHostnames": "EnableDnsHostnames"}
        return all(
            self._ask("ec2", "describe_vpc_attribute", VpcId=vpc_id, Attribute=attribute)[key]["Value"]
            for attribute, key in asked.items()
        )

    def subnets(self, subnet_ids: Iterable[str]) -> list[Answer]:
        """In the order given."""
        ids = list(subnet_ids)
        found = {each["SubnetId"]: each for each in self._ask("ec2", "describe_subnets", SubnetIds=ids)["Subnets"]}
        return [found[subnet_id] for subnet_id in ids]

    def reservation(self, reservation_id: str) -> Answer:
        """A capacity reservation or block."""
        asked = self._ask("ec2", "describe_capacity_reservations", CapacityReservationIds=[reservation_id])
        if not asked["CapacityReservations"]:
            raise NotFound(f"aws {self.name}: the account has no {reservation_id} here")
        return dict(asked["CapacityReservations"][0])

    def image(self, image: str) -> str:
        """The AMI's id, of an id or of a name of IMAGES."""
        if not IMAGE_ID.fullmatch(image):
            return str(self._ask("ssm", "get_parameter", Name=IMAGES[image])["Parameter"]["Value"])
        try:
            seen = self._ask("ec2", "describe_images", ImageIds=[image])["Images"]
        except NotFound:
            seen = []
        if not seen:
            raise InvalidRequest(
                f"aws {self.name}: the account sees no image {image} here; an AMI belongs to one region: copy it here, "
                f"or choose one of {', '.join(IMAGES)}"
            )
        return image
