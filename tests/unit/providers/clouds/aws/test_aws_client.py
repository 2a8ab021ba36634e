"""What boto3 raises, as one line each: what, where, whose fault, what to do; and no key in any."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore import exceptions as boto

from providers.clouds.aws.account import TERMINATE_PATIENCE_S, Account
from providers.clouds.aws.client import AwsClient
from providers.clouds.aws.cloud import AwsCloud
from providers.clouds.aws.config import AwsConfig
from providers.clouds.aws.offering import read
from providers.errors import (
    CloudError,
    Incomplete,
    InvalidRequest,
    NotFound,
    RateLimited,
    TerminateFailed,
    Unauthorized,
    Unavailable,
)
from tests.support.clouds import Clock

ROOT = Path(__file__).parents[5]
KEY_ID = "AKIA" + "A" * 16
SIGNED = f"the canonical string was 'x-amz-security-token:{'b' * 60}' of {KEY_ID}"


def refused(code: str, status: int = 400, message: str = SIGNED) -> boto.ClientError:
    answer: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return boto.ClientError(answer, "DescribeInstances")


class Refusing:
    """A client of boto3's whose every call raises."""

    def __init__(self, error: Exception) -> None:
        self.meta = type("Meta", (), {"method_to_api_mapping": {"describe_regions": "DescribeRegions"}})
        self.error = error

    def can_paginate(self, operation: str) -> bool:
        return False

    def describe_regions(self) -> Any:
        raise self.error


@pytest.mark.parametrize(
    ("error", "kind", "told"),
    [
        (refused("ExpiredToken"), Unauthorized, "the credentials have expired (ExpiredToken): log in anew"),
        (refused("RequestExpired"), Unauthorized, "else check this computer's clock"),
        (refused("AuthFailure", 401), Unauthorized, "log in anew (aws sso login, or new keys), or enable the region"),
        (refused("SignatureDoesNotMatch", 403), Unauthorized, "AWS does not accept the credentials"),
        (refused("OptInRequired", 401), Unauthorized, "the account has not enabled this region"),
        (refused("UnauthorizedOperation", 403), Unauthorized, "lack the right ec2:DescribeRegions"),
        (refused("AccessDenied", 403), Unauthorized, "grant it, see docs/reference/clouds/aws.md"),
        (refused("RequestLimitExceeded", 503), RateLimited, "too many requests (RequestLimitExceeded)"),
        (refused("Throttled", 429), RateLimited, "try again"),
        (refused("InvalidInstanceID.NotFound", message="no i-1"), NotFound, "no i-1"),
        (refused("InternalError", 500), Unavailable, "failed at AWS (InternalError, HTTP 500): try again"),
        (refused("InvalidParameterValue", message="x\ny"), InvalidRequest, "(InvalidParameterValue): x y"),
        (refused("Unheard"), InvalidRequest, "ec2:DescribeRegions was refused (Unheard)"),
        (boto.EndpointConnectionError(endpoint_url="https://e"), Unavailable, "is the way out open"),
        (boto.ReadTimeoutError(endpoint_url="https://e"), Unavailable, "(ReadTimeoutError)"),
        (boto.ProfileNotFound(profile="prod"), Unauthorized, "correct AWS_PROFILE"),
        (boto.UnauthorizedSSOTokenError(), Unauthorized, "the login is over or missing"),
        (boto.NoCredentialsError(), Unauthorized, "set AWS_PROFILE"),
        (boto.PartialCredentialsError(provider="env", cred_var=KEY_ID), Unauthorized, "no usable credentials"),
        (boto.UnknownSignatureVersionError(signature_version=KEY_ID), InvalidRequest, "cannot be asked"),
    ],
)
def test_every_error_class_is_one_line_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch, error: Exception, kind: type[CloudError], told: str
) -> None:
    client = AwsClient(AwsConfig())
    monkeypatch.setattr(client, "_client", lambda service, region: Refusing(error))
    with pytest.raises(kind) as e:
        client.ask("ec2", "describe_regions", "eu-west-1")
    line = str(e.value)
    assert line.startswith("aws eu-west-1: ")
    assert told in line
    assert "\n" not in line
    assert KEY_ID not in line
    assert "b" * 40 not in line


def test_without_credentials_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    with pytest.raises(Unauthorized, match="no credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID"):
        AwsClient(AwsConfig()).ask("ec2", "describe_regions", "us-east-1")


def test_a_preview_imports_nothing_of_aws() -> None:
    """It asks the registry what the cloud can do, and no more."""
    ask = "import sys; from providers.registry import capabilities; capabilities('aws')"
    code = f"{ask}; print({{'boto3', 'pulumi_aws'}} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "set()\n"), done.stderr


class Scripted(AwsClient):
    """Answers by `say(operation, region, arguments)`; `asked` keeps the operations with their regions."""

    def __init__(self, say: Callable[[str, str, dict[str, Any]], dict[str, Any]], clock: Clock | None = None) -> None:
        made = clock or Clock()
        super().__init__(AwsConfig(home="r1", regions=("r1", "r2", "r3")), made, made.sleep)
        self.say = say
        self.asked: list[tuple[str, str]] = []

    def ask(self, service: str, operation: str, region: str, **arguments: Any) -> dict[str, Any]:
        self.asked.append((operation, region))
        return self.say(operation, region, arguments)


def instance(state: str = "running", **tags: str) -> dict[str, Any]:
    marked = {"crossover:mark": "crossover:p:s:inference:a:1", **tags}
    return {
        "InstanceId": "i-1", "InstanceType": "p4de.24xlarge", "State": {"Name": state},
        "Placement": {"AvailabilityZone": "r2a"}, "LaunchTime": datetime(2026, 11, 20, tzinfo=UTC),
        "BlockDeviceMappings": [{"Ebs": {"AttachTime": datetime(2026, 11, 1, tzinfo=UTC)}}],
        "Tags": [{"Key": key, "Value": value} for key, value in marked.items()],
    }  # fmt: skip


def holding(*found: dict[str, Any]) -> dict[str, Any]:
    return {"Reservations": [{"Instances": list(found)}]}


def test_a_region_that_refuses_hides_nothing_of_the_others() -> None:
    """Regions with the same words are told together."""

    def say(operation: str, region: str, arguments: dict[str, Any]) -> dict[str, Any]:
        if region != "r2":
            raise Unauthorized(f"aws {region}: no right")
        return holding(instance())

    with pytest.raises(Incomplete) as e:
        AwsCloud(Scripted(say)).list("p")
    assert str(e.value) == "aws r1, r3: no right"
    assert [m.id for m in e.value.found] == ["i-1"]


def test_credentials_that_are_refused_everywhere_are_told_once() -> None:
    def say(operation: str, region: str, arguments: dict[str, Any]) -> dict[str, Any]:
        raise Unauthorized(f"aws {region}: expired")

    with pytest.raises(Unauthorized, match=r"^aws r1: expired$"):
        AwsCloud(Scripted(say)).billed("p")


def test_a_machine_is_as_old_as_its_disk_and_tells_its_price_and_ports() -> None:
    """LaunchTime is that of the last start."""
    tagged = instance(**{"crossover:ports": "ssh=22 vllm=8000 odd", "crossover:usd-per-hour": "27.447050"})
    [machine] = AwsCloud(Scripted(lambda o, r, a: holding(tagged) if r == "r2" else holding())).list("p")
    assert (machine.created_at, str(machine.usd_per_hour)) == ("2026-11-01T00:00:00Z", "27.447050")
    assert (machine.region, machine.failure_domain, dict(machine.ports)) == ("r2", "aws/r2a", {"ssh": 22, "vllm": 8000})
    assert (machine.host_key, machine.tunnel) == ("", "")


def test_a_machine_without_an_open_port_tells_its_tunnel() -> None:
    tagged = instance(**{"crossover:way-in": "ssm"})
    [machine] = AwsCloud(Scripted(lambda o, r, a: holding(tagged) if r == "r2" else holding())).list("p")
    assert machine.tunnel == "ssm:r2/i-1"


def test_other_projects_machines_are_left_out_and_unreadable_marks_are_not() -> None:
    odd = {**instance(**{"crossover:mark": "mine"}), "InstanceId": "i-2"}
    cloud = AwsCloud(Scripted(lambda o, r, a: holding(instance(), odd) if r == "r1" else holding()))
    assert [m.id for m in cloud.list("another")] == ["i-2"]
    assert [m.owner is None for m in cloud.list("p")] == [False, True]


def test_gone_is_only_what_every_region_denies() -> None:
    def say(operation: str, region: str, arguments: dict[str, Any]) -> dict[str, Any]:
        if region == "r3":
            raise Unavailable("aws r3: 503")
        raise NotFound(f"aws {region}: none")

    with pytest.raises(Unavailable, match="cannot tell whether i-1 exists: aws r3: 503"):
        AwsCloud(Scripted(say)).get("i-1")


def test_where_one_was_seen_is_asked_first() -> None:
    def say(operation: str, region: str, arguments: dict[str, Any]) -> dict[str, Any]:
        return holding(instance()) if region == "r2" else holding()

    client = Scripted(say)
    cloud = AwsCloud(client)
    cloud.list("p")
    client.asked.clear()
    assert cloud.get("i-1").id == "i-1"
    assert client.asked == [("describe_instances", "r2")]


def test_an_end_that_aws_never_confirms_is_bounded_and_told_with_the_commands() -> None:
    """15 minutes of looking."""
    clock = Clock()
    client = Scripted(lambda o, r, a: holding(instance("shutting-down")) if r == "r2" else holding(), clock)
    with pytest.raises(TerminateFailed) as e:
        Account(client).end("i-1")
    assert clock.now <= TERMINATE_PATIENCE_S
    assert "after 900 s: it is shutting-down. It goes on billing; by hand: aws ec2 modify-instance" in str(e.value)
    assert str(e.value).endswith("aws ec2 terminate-instances --region r2 --instance-ids i-1")


def test_an_end_without_the_right_fails_at_once_and_one_that_is_throttled_goes_on() -> None:
    state, refusals = ["running"], [RateLimited("aws r2: slow down")]

    def say(operation: str, region: str, arguments: dict[str, Any]) -> dict[str, Any]:
        if operation == "terminate_instances":
            if refusals:
                raise refusals.pop()
            state[0] = "terminated"
        return holding(instance(state[0])) if region == "r2" else holding()

    Account(Scripted(say)).end("i-1")
    state[0] = "running"
    refusals.append(Unauthorized("aws r2: no right"))  # type: ignore[arg-type]
    with pytest.raises(TerminateFailed, match="i-1 is not ended: aws r2: no right"):
        Account(Scripted(say)).end("i-1")


def product(region: str, usd: str, market: str = "OnDemand", place: str = "AWS Region", unit: str = "Hrs") -> str:
    about = {"regionCode": region, "marketoption": market, "locationType": place}
    dimension = {"unit": unit, "pricePerUnit": {"USD": usd}}
    terms = {"OnDemand": {"t": {"priceDimensions": {"d": dimension}}}}
    return json.dumps({"product": {"attributes": about}, "terms": terms})


def test_list_prices_leave_out_blocks_local_zones_and_zeros() -> None:
    found = read(
        [
            product("us-east-1", "27.4470500000"), product("us-east-1", "0.0000000000"),
            product("us-east-1", "99", market="CapacityBlock"), product("us-east-1", "99", place="AWS Local Zone"),
            product("us-east-1", "99", unit="Quantity"), product("us-west-2", "28"),
        ]
    )  # fmt: skip
    assert {region: f"{price:.6f}" for region, price in found.items()} == {
        "us-east-1": "27.447050", "us-west-2": "28.000000",
    }  # fmt: skip
