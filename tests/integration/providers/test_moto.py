"""The stand-in for AWS bears what a busy computer makes of AWS's SDK."""

from __future__ import annotations

import urllib.parse
import urllib.request
from collections.abc import Iterator

import pytest

from tests.support.moto import running

SIGNED = "AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/ec2/aws4_request, SignedHeaders=host, Signature=0"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running() as moto:
        yield moto.url


@pytest.mark.parametrize(("attempts_of", "vpcs"), [(("one", "one"), 1), (("one", "other"), 2), (("", ""), 2)])
def test_a_repeated_request_is_answered_and_not_carried_out_again(
    url: str, attempts_of: tuple[str, ...], vpcs: int, request: pytest.FixtureRequest
) -> None:
    """All attempts of one request have one id; what has none is a request of its own."""
    ids = [each and f"{each} of {request.node.name}" for each in attempts_of]
    assert len({create_vpc(url, each) for each in ids}) == vpcs


def create_vpc(url: str, request_id: str) -> str:
    """The answer, which names the VPC."""
    body = urllib.parse.urlencode({"Action": "CreateVpc", "Version": "2016-11-15", "CidrBlock": "10.0.0.0/16"}).encode()
    headers = {"Authorization": SIGNED, "amz-sdk-invocation-id": request_id}
    asked = urllib.request.Request(url, body, {"Content-Type": "application/x-www-form-urlencoded", **headers})
    with urllib.request.urlopen(asked, timeout=60) as answer:
        said: str = answer.read().decode()
    assert "<vpcId>" in said
    return said
