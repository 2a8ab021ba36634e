"""A team's state in a bucket: the engine's own S3 backend against moto, so that no account is asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.support import moto
from tests.support.checkout import Checkout
from tests.support.moto import Moto

BUCKET = "states"


@pytest.fixture(scope="module")
def api() -> Iterator[Moto]:
    with moto.running() as api:
        api.call("s3", "create_bucket", Bucket=BUCKET)
        yield api


@pytest.fixture(scope="module")
def shared(api: Moto) -> Iterator[Checkout]:
    """A clone whose stack `local` lies in the bucket, with no machine."""
    checkout = Checkout.make()
    checkout.variables = {
        **api.environment,
        "PULUMI_BACKEND_URL": f"s3://{BUCKET}?region=us-east-1&endpoint={api.url}&s3ForcePathStyle=true",
        "PULUMI_CONFIG_PASSPHRASE": "of the team",
        "PULUMI_HOME": str(checkout.folder / ".state" / "pulumi-home"),
    }
    try:
        checkout.init()
        yield checkout
    finally:
        checkout.discard()


def keys(api: Moto) -> list[str]:
    listed = api.call("s3", "list_objects_v2", Bucket=BUCKET)
    return [found["Key"] for found in listed.get("Contents", [])]


def test_a_preview_judges_a_stack_whose_state_lies_in_a_bucket(shared: Checkout, api: Moto) -> None:
    """And leaves no lock there."""
    out = shared.folder / "preview"
    shared.run(".venv/bin/crossover", "preview", "--stack", "local", "--out", str(out))
    assert json.loads((out / "report.json").read_text())["verdict"] == "WARN"
    assert ".pulumi/stacks/crossover/local.json" in keys(api)
    assert not [key for key in keys(api) if "/locks/" in key]


def test_whoever_holds_the_lock_in_the_bucket_is_named_and_recover_does_not_break_it(
    shared: Checkout, api: Moto
) -> None:
    """Audit 15: from here nobody sees whether an engine on another computer lives."""
    held = {"pid": 7, "username": "anna", "hostname": "build-3", "timestamp": datetime.now(UTC).isoformat()}
    key = ".pulumi/locks/organization/crossover/local/0b9f.json"
    api.call("s3", "put_object", Bucket=BUCKET, Key=key, Body=json.dumps(held))
    refused = shared.pulumi("refresh", "-s", "local", "--yes", "--skip-preview", fails=True)
    assert "locked by 1 lock" in refused
    assert "anna@build-3" in refused
    refused = shared.run("scripts/recover", "local", fails=True)
    assert "--force" in refused
    assert key in keys(api)
    shared.run("scripts/recover", "--force", "local")
    assert key not in keys(api)
