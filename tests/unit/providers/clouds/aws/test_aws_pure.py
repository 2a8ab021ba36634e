"""AWS without AWS: zones, ranges, quotas, policies, marks, and what an Install is told."""

from __future__ import annotations

import dataclasses
import ipaddress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from providers.base import Machine, MachineState, Owner, plain_host
from providers.clouds.aws import session
from providers.clouds.aws.config import parse
from providers.clouds.aws.machines import NVME
from providers.clouds.aws.offering import regular_zones
from providers.clouds.aws.preflight.layout import spread, subnet_cidr
from providers.clouds.aws.preflight.quota import QUOTAS, family, needed, request
from providers.clouds.aws.preflight.tries import Tries
from providers.clouds.aws.resources.identity import partition, trust, weights_policy
from providers.clouds.aws.resources.node import reported, reserved
from providers.clouds.aws.resources.survey import MOST_ATTEMPTS
from providers.clouds.aws.tags import MARK, machine_tags, owner_in
from providers.errors import InvalidRequest

P = QUOTAS[0]
OWNER = Owner("p", "s", "inference", "a", 1)
AB = ("us-east-1a", "us-east-1b")


def test_local_and_wavelength_zones_are_no_zones_for_nodes() -> None:
    """Their names go on behind the letter, or before it."""
    offered = ["us-east-1b", "us-east-1-bos-1a", "us-east-1a", "us-east-1-wl1-nyc-wlz-1", "us-east-1b"]
    assert regular_zones("us-east-1", offered) == AB


def test_a_zones_range_depends_on_its_letter_alone_and_no_two_overlap() -> None:
    """So that a zone that comes or goes moves no other."""
    ranges = [ipaddress.IPv4Network(subnet_cidr("10.82.0.0/16", f"eu-west-1{letter}")) for letter in "abcdef"]
    assert str(ranges[0]) == "10.82.0.0/20"
    assert str(ranges[2]) == "10.82.32.0/20"
    assert not any(x.overlaps(y) for i, x in enumerate(ranges) for y in ranges[i + 1 :])
    with pytest.raises(InvalidRequest, match="no range"):
        subnet_cidr("10.82.0.0/16", "us-east-1z")


def test_new_nodes_go_to_the_least_used_zone_and_old_ones_stay() -> None:
    """Whatever the order of the keys is."""
    assert spread({"a": AB, "b": AB}, {}, 1) == {"a": AB[0], "b": AB[1]}
    assert spread({"a": AB, "b": AB}, {"b": AB[0]}, 1) == {"a": AB[1], "b": AB[0]}
    assert spread({"a": AB, "b": AB}, {"a": AB[1], "b": AB[1]}, 1) == {"a": AB[1], "b": AB[1]}


def test_a_zone_that_is_no_longer_allowed_is_left_at_the_next_replacement() -> None:
    """The machine there stays, and still counts there."""
    assert spread({"a": AB[1:]}, {"a": AB[0]}, 1) == {"a": AB[1]}


def test_too_few_zones_are_refused_with_the_ways_out() -> None:
    """Two nodes in one zone are no redundancy, unless somebody says so."""
    with pytest.raises(
        InvalidRequest, match=r"2 nodes do not fit into us-east-1a with at most 1 .*maxPerFailureDomain"
    ):
        spread({"a": AB[:1], "b": AB[:1]}, {}, 1)
    assert spread({"a": AB[:1], "b": AB[:1]}, {}, 2) == {"a": AB[0], "b": AB[0]}


def test_public_bug_10_what_did_not_start_in_a_zone_is_asked_for_in_the_next_one() -> None:
    """Public bug 10: the zone was a function of the siblings, so each `up` asked the same one for ever."""
    abc = tuple(f"us-east-1{letter}" for letter in "abc")
    assert spread({"a": abc}, {}, 1, {"a": {abc[0]: 1.0}}) == {"a": abc[1]}
    assert spread({"a": abc}, {}, 1, {"a": {abc[0]: 1.0, abc[1]: 2.0}}) == {"a": abc[2]}
    assert spread({"a": abc}, {}, 1, {"a": {abc[0]: 1.0, abc[1]: 2.0, abc[2]: 3.0}}) == {"a": abc[0]}
    assert spread({"a": abc, "b": abc}, {"b": abc[1]}, 1, {"a": {abc[0]: 1.0}}) == {"a": abc[2], "b": abc[1]}
    assert spread({"a": abc}, {"a": abc[2]}, 1, {"a": {abc[2]: 1.0}}) == {"a": abc[2]}


def test_public_bug_10_zones_are_remembered_until_the_machine_is_there(tmp_path: Path) -> None:
    """Public bug 10: by the next process, whatever somebody wrote into the file."""
    tries = Tries(tmp_path / "a" / "zones.json", now=lambda: 5.0)
    assert tries.known() == {}
    tries.begin({"a": "us-east-1a", "b": "us-east-1b"}, there=())
    Tries(tries.path, now=lambda: 6.0).begin({"a": "us-east-1c"}, there=("b",))
    assert Tries(tries.path).known() == {"a": {"us-east-1a": 5.0, "us-east-1c": 6.0}}
    for broken in ("", "[]", '{"a": 1}', '{"a": {"z": "when"}}'):
        tries.path.write_text(broken)
        assert tries.known() == {}


def test_public_bug_10_aws_is_asked_for_capacity_for_less_than_five_minutes() -> None:
    """Public bug 10: 25 attempts are about 50 minutes. After attempt n the SDK waits 2^n s at most."""
    assert sum(2**n for n in range(1, MOST_ATTEMPTS)) < 5 * 60


def test_the_quota_of_p_counts_96_vcpu_for_each_p4d_and_p4de() -> None:
    """L-417A185B, and the gateway's own family apart from it."""
    vcpus = {"p4de.24xlarge": 96, "p4d.24xlarge": 96, "m7i.large": 2}
    wanted = ["p4de.24xlarge", "p4d.24xlarge", "m7i.large"]
    assert {quota.code: n for quota, n in needed(wanted, vcpus).items()} == {"L-417A185B": 192, "L-1216C47A": 2}
    assert needed(["x2idn.16xlarge"], {"x2idn.16xlarge": 64}) == {}


@pytest.mark.parametrize(
    ("instance_type", "letters"),
    [("p4de.24xlarge", "p"), ("vt1.3xlarge", "vt"), ("m7i-flex.large", "m"), ("metal", "metal")],
)
def test_a_family_is_the_letters_before_the_generation(instance_type: str, letters: str) -> None:
    """As AWS groups its quotas."""
    assert family(instance_type) == letters


def test_the_command_that_raises_a_quota_names_it_and_its_region() -> None:
    assert request(P, 192, "us-east-1").endswith(
        "--region us-east-1 --service-code ec2 --quota-code L-417A185B --desired-value 192"
    )


def test_weights_are_read_below_one_prefix_and_nothing_is_written() -> None:
    """Neither the bucket's other keys nor a neighbour whose name begins alike."""
    assert weights_policy("weights/llama/70b", "us-east-1")["Statement"] == [
        {
            "Effect": "Allow",
            "Action": "s3:ListBucket",
            "Resource": "arn:aws:s3:::weights",
            "Condition": {"StringLike": {"s3:prefix": ["llama/70b/*"]}},
        },
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::weights/llama/70b/*"},
    ]


@pytest.mark.parametrize(
    ("region", "name"),
    [("us-east-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov"), ("us-isob-east-1", "aws-iso-b")],
)
def test_arns_name_the_regions_own_partition(region: str, name: str) -> None:
    """China, GovCloud and the isolated regions have theirs."""
    assert partition(region) == name
    assert weights_policy("weights/x", region)["Statement"][1]["Resource"] == f"arn:{name}:s3:::weights/x/*"
    assert trust(region)["Statement"][0]["Action"] == "sts:AssumeRole"


def test_the_mark_survives_as_tags() -> None:
    """Key, value and length as EC2 allows them: 128 and 256 characters."""
    tags = machine_tags(OWNER)
    assert owner_in(tags) == OWNER
    assert owner_in({MARK: "somebody's"}) is None
    assert owner_in({}) is None
    assert all(len(key) <= 128 and len(value) <= 256 for key, value in tags.items())


def test_an_install_is_told_the_same_as_of_a_gpucloud_node() -> None:
    """The same keys, and values that a host takes."""
    ports = {"ssh": 22, "vllm": 8000}
    known: dict[str, Any] = {
        "id": "i-1", "name": "n", "cloud": "aws", "region": "us-east-1", "sku": "p4de.24xlarge", "owner": OWNER,
        "state": MachineState.RUNNING, "failure_domain": "aws/us-east-1a", "usd_per_hour": Decimal(1), "created_at": "",
        "address": "ec2-1.example", "ports": ports, "ssh_user": "ubuntu",
    }  # fmt: skip
    assert {field.name for field in dataclasses.fields(Machine)} >= known.keys()
    assert reported("i-1", "ec2-1.example", ports) == plain_host(Machine(**known))
    through = plain_host(Machine(**known, tunnel="ssm:us-east-1/i-1"))
    assert reported("i-1", "ec2-1.example", ports, ssm_region="us-east-1", scratch=NVME) == {**through, "scratch": NVME}


@pytest.mark.parametrize("region", ["us-east-1", "us-gov-west-1", "ap-southeast-2", "us-isob-east-1"])
def test_a_session_is_an_argument_list_as_aws_documents_it(region: str) -> None:
    """docs.aws.amazon.com/systems-manager: session-manager-getting-started-enable-ssh-connections."""
    assert session.command(session.tunnel(region, "i-0123456789abcdef0"), 22) == (
        "aws", "ssm", "start-session", "--region", region, "--target", "i-0123456789abcdef0",
        "--document-name", "AWS-StartSSHSession", "--parameters", "portNumber=22",
    )  # fmt: skip
    assert session.command("", 22) == ()


@pytest.mark.parametrize(
    "tunnel",
    [
        "ssm:us-east-1/i-0123abcd;reboot", "ssm:us-east-1/--profile", "sh:-c/reboot", "ssm:us-east-1/i-0123abcd\n",
        "ssm:--endpoint-url/i-0123abcd", "aws ssm start-session", "ssm:us-east-1/mi-0123abcd", " ",
    ],
)  # fmt: skip
def test_a_state_cannot_say_what_is_run(tunnel: str) -> None:
    with pytest.raises(InvalidRequest, match="is no way to a machine that is known"):
        session.command(tunnel, 22)


def test_what_a_session_needs_on_this_computer_is_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each program that is missing, with what to install; none once both are there."""
    monkeypatch.setenv("PATH", str(tmp_path))
    for name, what in (("aws", "the AWS CLI"), ("session-manager-plugin", "AWS' Session Manager plugin")):
        with pytest.raises(InvalidRequest, match=f"{name}, of {what} \\(https://docs.aws.amazon.com/") as refused:
            session.require_programs()
        assert "\n" not in str(refused.value)
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    session.require_programs()


@pytest.mark.parametrize(
    ("said", "final"),
    [
        ("aws: [ERROR]: An error occurred (AccessDeniedException) when calling the StartSession operation: x", True),
        ("An error occurred (ExpiredTokenException) when calling the StartSession operation: x", True),
        ('Unable to locate credentials. You can configure credentials by running "aws configure".', True),
        (
            "An error occurred (TargetNotConnected) when calling the StartSession operation: i-1 is not connected.",
            False,
        ),
        ("An error occurred (ThrottlingException) when calling the StartSession operation: Rate exceeded", False),
    ],
)
def test_what_waiting_does_not_cure_is_told_by_its_code(said: str, final: bool) -> None:
    assert session.refused(said) is final


def test_reserved_capacity_is_targeted_by_id_and_a_block_says_so() -> None:
    """Never bought: there is no other way to name it."""
    base = {"region": "us-east-1", "access": "ssm", "zones": ["us-east-1a"]}
    target = {"capacity_reservation_target": {"capacity_reservation_id": "cr-0123456789abcdef0"}}
    assert reserved(parse(base)) == {}
    reservation = parse({**base, "capacityReservationId": "cr-0123456789abcdef0"})
    assert reserved(reservation) == {"capacity_reservation_specification": target}
    block = parse({**base, "capacityBlockId": "cr-0123456789abcdef0"})
    assert reserved(block) == {
        "capacity_reservation_specification": target,
        "instance_market_options": {"market_type": "capacity-block"},
    }
