"""Weights from a bucket: signatures as botocore makes them, a secret or the machine's role, records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from images.weights.agent.bring import bring
from images.weights.agent.job import Job
from images.weights.agent.sources.s3 import S3Key, signed
from images.weights.agent.told import Refused
from tests.support.bucket import BUCKET, KEY_ID, REGION, SECRET_KEY, TOKEN, LocalBucket, local_bucket
from tests.support.hub import record

FILES = {"config.json": b"{}", "model 1+a=b.safetensors": b"0123456789" * 5000, "tokenizer.json": b"[]"}


@pytest.fixture
def bucket() -> Iterator[LocalBucket]:
    with local_bucket() as made:
        made.objects = {f"models/tiny/{path}": data for path, data in FILES.items()}
        made.objects |= {"models/tiny-other/config.json": b"another", "models/tiny/original/x.pth": b"twice"}
        yield made


@pytest.fixture
def job(bucket: LocalBucket, tmp_path: Path) -> Job:
    (tmp_path / "key").write_text(f"{KEY_ID}:{SECRET_KEY}\n")
    return Job(
        "s3", f"s3://{BUCKET}/models/tiny", "org/tiny", "1", str(tmp_path / "w" / "t"), str(tmp_path / "w" / "t.json"),
        bucket.endpoint, REGION, str(tmp_path / "key"), record=record(FILES), record_revision="1", margin_bytes=0,
        pause_s=0.01, stall_s=60, role_endpoint=bucket.endpoint,
    )  # fmt: skip


def there(job: Job) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(job.folder).iterdir()}


@pytest.mark.parametrize("token", ["", TOKEN])
@pytest.mark.parametrize("path", ["/weights", "/weights/a%20b/c%2Bd", "/weights?list-type=2&prefix=a%2Fb"])
def test_a_request_is_signed_as_botocore_signs_it(token: str, path: str) -> None:
    url, now = f"https://s3.us-east-2.amazonaws.com{path}", datetime(2026, 11, 29, 20, 0, tzinfo=UTC)
    made = signed(S3Key(KEY_ID, SECRET_KEY, token), REGION, url, now, {"Range": "bytes=5-"})
    request = AWSRequest("GET", url, {name: value for name, value in made.items() if name != "Authorization"})
    request.headers["host"] = "s3.us-east-2.amazonaws.com"
    request.context["timestamp"] = made["x-amz-date"]
    signer = S3SigV4Auth(Credentials(KEY_ID, SECRET_KEY, token or None), "s3", REGION)
    text = signer.string_to_sign(request, signer.canonical_request(request))
    assert made["Authorization"].endswith(f"Signature={signer.signature(text, request)}")


def test_a_folder_comes_held_against_its_record(bucket: LocalBucket, job: Job) -> None:
    told = bring(job)
    assert (there(job), told["verified"], told["revision"]) == (FILES, True, "1")
    assert (bucket.refused, bring(job)["fetched_bytes"]) == ([], 0)


def test_a_cut_is_gone_on_with(bucket: LocalBucket, job: Job) -> None:
    bucket.cuts = [10_000, 20_000]
    bring(job)
    assert there(job) == FILES
    assert sum(bucket.sent.values()) == sum(map(len, FILES.values()))


def test_the_machines_role_opens_it_where_no_key_is_named(bucket: LocalBucket, job: Job) -> None:
    """By IMDSv2, with the session's token among what is signed."""
    bring(replace(job, secret_file=""))
    assert there(job) == FILES
    bucket.role = False
    with pytest.raises(Refused, match="this machine has no role that can be asked for") as refused:
        bring(replace(job, secret_file="", again=True, record={**record(FILES), **record({"x.json": b"x"})}))
    assert refused.value.kind == "token"


def test_without_a_record_a_folder_is_listed_to_its_end_where_that_was_allowed(bucket: LocalBucket, job: Job) -> None:
    """In pages of two; what an engine does not read and what lies beside stay away."""
    unknown = replace(job, record=None)
    with pytest.raises(Refused, match=r"weights\.unverified: true"):
        bring(unknown)
    assert bring(replace(unknown, unverified=True))["verified"] is False
    assert there(job) == FILES


def test_copies_of_another_node_make_nothing_known_of_a_bucket(job: Job, tmp_path: Path) -> None:
    for path, data in FILES.items():
        (tmp_path / "copies").mkdir(exist_ok=True)
        (tmp_path / "copies" / path).write_bytes(data)
    unknown = replace(job, record=None, offered=str(tmp_path / "copies"))
    with pytest.raises(Refused, match=r"weights\.unverified: true"):
        bring(unknown)
    assert bring(replace(unknown, unverified=True))["verified"] is False


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"place": "s3://other/models"}, "missing", "NoSuchBucket"),
        ({"place": f"s3://{BUCKET}/none"}, "missing", "NoSuchKey"),
        ({"region": "eu-west-1"}, "token", "SignatureDoesNotMatch"),
        ({"secret_file": "{tmp}/short"}, "token", "no ACCESS_KEY_ID:SECRET_ACCESS_KEY"),
        ({"secret_file": "{tmp}/wrong"}, "token", "InvalidAccessKeyId"),
        ({"endpoint": "http://127.0.0.1:9"}, "network", "have a way there"),
    ],
)
def test_what_is_wrong_is_named(job: Job, tmp_path: Path, change: dict[str, str], kind: str, words: str) -> None:
    (tmp_path / "short").write_text("AKID")
    (tmp_path / "wrong").write_text(f"AKIDOTHER:{SECRET_KEY}")
    with pytest.raises(Refused, match=words) as refused:
        bring(replace(job, **{key: value.replace("{tmp}", str(tmp_path)) for key, value in change.items()}))  # type: ignore[arg-type]
    assert refused.value.kind == kind
    assert SECRET_KEY not in str(refused.value)


def test_bytes_that_are_not_the_records_are_refused(bucket: LocalBucket, job: Job) -> None:
    bucket.objects["models/tiny/config.json"] = b"[]"
    with pytest.raises(Refused, match=r"config\.json came 2 times with bytes that are not those of its record"):
        bring(job)
