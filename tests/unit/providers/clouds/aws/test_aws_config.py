"""The section `clouds.aws`: what it refuses, and in which words."""

from __future__ import annotations

from typing import Any

import pytest

from providers.clouds.aws.cloud import AwsCloud
from providers.clouds.aws.config import parse
from providers.errors import InvalidRequest

GOOD: dict[str, Any] = {"region": "us-east-1", "access": {"ssh": {"cidrs": ["203.0.113.7/32"]}}}
RESERVED = {"capacityReservationId": "cr-0123456789abcdef0"}


def refused(**change: Any) -> str:
    with pytest.raises(InvalidRequest) as caught:
        parse({**GOOD, **change})
    return str(caught.value)


@pytest.mark.parametrize("cidr", ["0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "10.0.0.0/7"])
@pytest.mark.parametrize("section", ["access", "clientCidrs"])
def test_the_world_is_refused_wherever_a_range_may_stand(section: str, cidr: str) -> None:
    """Also in halves."""
    value = {"ssh": {"cidrs": [cidr]}} if section == "access" else [cidr]
    assert f"{cidr} is open to the world" in refused(**{section: value})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"region": "us-esat-1"}, "AWS has no region 'us-esat-1': choose one of us-west-1, us-east-1"),
        ({"ami": "base-oss-nvidia-driver-gpu-ubuntu-26.04"}, "choose one of base-oss-nvidia-driver-gpu-ubuntu-2"),
        ({"ami": "base-oss-nvidia-driver-gpu-ubuntu-22.04"}, "is older than Ubuntu 24.04, and vLLM needs Python 3.11"),
        ({"ami": "ami-XYZ"}, "neither an AMI's id (ami-…) nor a known image"),
        ({"subnetIDs": []}, "clouds.aws.subnetIDs: unknown key (did you mean subnetIds?)"),
        ({"access": "open"}, "clouds.aws.access: must be ssm, or ssh: {cidrs: […]}, got 'open'"),
        ({"access": {"ssm": True, "ssh": {"cidrs": ["10.0.0.0/8"]}}}, "exactly one of ssm, and ssh"),
        ({"access": {"ssh": {"cidrs": []}}}, "clouds.aws.access.ssh.cidrs: "),
        ({"clientCidrs": ["10.0.0.1/8"]}, "no IPv4 range"),
        ({"vpcId": "vpc-0123456789abcdef0"}, "vpcId and subnetIds together"),
        ({"subnetIds": ["subnet-0123456789abcdef0"]}, "vpcId and subnetIds together"),
        ({"vpcId": "my-vpc", "subnetIds": ["subnet-0123456789abcdef0"]}, "no id like vpc-0123456789abcdef0"),
        ({"vpcCidr": "8.8.0.0/16"}, "must be a private range between /16 and /20"),
        ({"publicAddresses": False}, "needs an existing VPC"),
        ({"zones": ["us-west-2a"]}, "us-west-2a is no zone of us-east-1"),
        (RESERVED, "bound to one zone: name that zone in zones"),
        (
            {**RESERVED, "capacityBlockId": "cr-0123456789abcdef0", "zones": ["us-east-1a"]},
            "capacityReservationId or capacityBlockId, not both",
        ),
        ({"weightsBucket": "weights"}, "must be bucket/prefix"),
        ({"weightsBucket": "weights/*"}, "must be bucket/prefix"),
        ({"rootGb": 10}, "clouds.aws.rootGb: "),
    ],
)
def test_what_cannot_be_used_is_said_with_its_key_and_a_remedy(change: dict[str, Any], said: str) -> None:
    """One line per problem."""
    message = refused(**change)
    assert said in message
    assert "\n" not in message
    assert message.startswith("clouds.aws")


def test_a_missing_key_is_named() -> None:
    """Without candidates, region and access have no default that would be right for anybody."""
    with pytest.raises(InvalidRequest, match=r"clouds.aws.region: missing.*\nclouds.aws.access: missing"):
        parse({})


def test_the_region_is_the_candidates_unless_it_is_said() -> None:
    """Zones are then of that region too."""
    section = {"access": "ssm", "zones": ["us-west-2a"]}
    assert parse(section, ["us-west-2", "us-west-2"]).region == "us-west-2"
    assert parse({**section, "region": "us-west-2"}, ["eu-west-1"]).region == "us-west-2"
    with pytest.raises(InvalidRequest, match=r"clouds\.aws\.region: AWS has no region 'us-wets-2'"):
        parse({"access": "ssm"}, ["us-wets-2"])
    with pytest.raises(InvalidRequest, match="us-west-2a is no zone of us-east-1"):
        parse(section, ["us-east-1"])


def test_a_section_is_checked_without_its_candidates() -> None:
    """Its zones then tell the region."""
    check = AwsCloud.from_environment().check_settings
    check({"access": "ssm"})
    check({"access": "ssm", "zones": ["us-west-2a"]})
    for zones in (["us-west-2a", "us-east-1a"], 3):
        with pytest.raises(InvalidRequest, match=r"clouds\.aws"):
            check({"access": "ssm", "zones": zones})


def test_ssm_opens_port_22_to_nobody() -> None:
    """Session Manager needs no way in."""
    assert parse({**GOOD, "access": "ssm"}).access.cidrs == ()


def test_a_bucket_may_be_written_as_a_url() -> None:
    """As the AWS CLI writes it, with or without the last slash."""
    assert parse({**GOOD, "weightsBucket": "s3://weights/llama/70b/"}).weights_bucket == "weights/llama/70b"
