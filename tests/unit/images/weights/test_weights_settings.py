"""`serving.weights`: what is taken, what is refused, what a bundle is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from images.bundle import Bundle, Weights
from images.engines import simulator
from images.engines.common.base import EngineOptions
from images.roles.inference.bundle import SECRETS, inference_bundle
from images.tokens import resolve
from images.weights.onto import job_of
from images.weights.settings import SECRET, WeightsSettings, refusal, remarks
from tests.unit.images.samples import BUNDLE, PLACEMENT

READ: TypeAdapter[Any] = TypeAdapter(WeightsSettings)
MODEL, COMMIT = "meta-llama/Llama-3.3-70B-Instruct", "6f6073b423013f6a7d4d9f39144961bfbfbc386b"
HUB = Weights("hf", MODEL, MODEL, COMMIT)
S3 = {"source": "s3", "uri": "s3://bucket/llama", "region": "us-east-1"}


def wanted(**section: Any) -> Weights:
    made: Weights = READ.validate_python(section).weights(MODEL, COMMIT)
    return made


def test_each_source_becomes_what_the_machine_is_told() -> None:
    assert wanted(source="hf", tokenSecret="hf") == replace(HUB, secret=SECRET)
    assert wanted(source="hf", unverified=True) == replace(HUB, unverified=True)
    assert wanted(**S3) == Weights("s3", "s3://bucket/llama", MODEL, COMMIT, region="us-east-1")
    assert wanted(source="path", path="/lambda/nfs/weights/llama/") == Weights(
        "path", "/lambda/nfs/weights/llama", MODEL, COMMIT
    )


@pytest.mark.parametrize(
    "section",
    [
        {"source": "ftp"},
        {},
        {"source": "hf", "endpoint": "http://hub.example.com"},
        {"source": "hf", "endpoint": "https://user@hub.example.com"},
        {"source": "hf", "endpoint": "https://hub.example.com/#x"},
        {"source": "hf", "endpoint": "https://hub\n.example.com"},
        {"source": "hf", "endpoint": "https://hub example.com"},
        {"source": "hf", "endpoint": "https://hub.example.com:port"},
        {"source": "hf", "endpoint": "https://hub.example.com:99999"},
        {**S3, "unverified": "yes"},
        {**S3, "unverified": 1},
        {**S3, "uri": "https://bucket/llama"},
        {"source": "s3", "uri": "s3://bucket/llama"},
        {"source": "path", "path": "models/llama"},
        {"source": "path", "path": "/models/a;b"},
    ],
    ids=str,
)
def test_what_could_not_be_fetched_or_would_send_a_token_in_clear_is_refused(section: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        READ.validate_python(section)


def test_a_mirror_on_this_computer_may_speak_http() -> None:
    assert wanted(source="hf", endpoint="http://127.0.0.1:8080/").endpoint == "http://127.0.0.1:8080"


def test_the_engine_gets_a_folder_and_asks_nobody() -> None:
    made = inference_bundle(simulator.ENGINE, EngineOptions(MODEL, ("llama",)), "PEM", weights=HUB)
    (service,) = made.services
    folder = "@WEIGHTS@/meta-llama--Llama-3.3-70B-Instruct--6f6073b423013f6a7d4d9f39144961bfbfbc386b"
    assert service.command[service.command.index("serve") + 1] == folder == HUB.folder
    assert service.environment["HF_HUB_OFFLINE"] == "1"
    assert service.environment["VLLM_CACHE_ROOT"].startswith("@WEIGHTS@/")
    assert (made.secrets, "models" in made.directories) == (SECRETS, True)


def test_the_token_is_a_secret_that_no_service_names() -> None:
    """Neither a variable nor a word: the bundle names it, so that it is delivered as a file."""
    closed = replace(HUB, secret=SECRET)
    made = inference_bundle(simulator.ENGINE, EngineOptions(MODEL, ("llama",)), "PEM", weights=closed)
    assert made.secrets == (*SECRETS, SECRET)
    assert SECRET not in str(made.services)


def test_weights_survive_the_state() -> None:
    """And a bundle without any says nothing of them, so that old states stay as they are."""
    assert Bundle.from_dict(replace(BUNDLE, weights=HUB).to_dict()).weights == HUB
    assert "weights" not in BUNDLE.to_dict()


def test_a_volume_of_the_vendors_is_where_they_lie() -> None:
    mounted = replace(PLACEMENT, weights_root="/lambda/nfs/weights")
    assert resolve("@WEIGHTS@/x", mounted, BUNDLE, where="f") == "/lambda/nfs/weights/x"
    assert resolve("@WEIGHTS@/x", PLACEMENT, BUNDLE, where="f") == "/opt/crossover/models/x"


def test_a_preview_says_what_is_missing() -> None:
    gated = "\n".join(remarks(HUB, None, gated=True))
    assert f"https://huggingface.co/{MODEL}" in gated
    assert "tokenSecret" in gated
    assert "no record" in gated
    assert "the hub's own list" in gated


@pytest.mark.parametrize("revision", ["main", "dev", "v1", "6f6073b"])
def test_a_revision_that_is_no_commit_is_told_where_the_hub_resolves_it(revision: str) -> None:
    (line,) = remarks(replace(HUB, revision=revision), "hf", gated=True)
    assert f"serving.revision names no commit ({revision} may move)" in line
    for section in (S3, {"source": "path", "path": "/models/llama"}):
        (line,) = remarks(replace(wanted(**section), revision=revision), None, gated=False)
        assert "fetches" not in line
        assert f"`crossover weights record {MODEL}@<commit>`" in line


def test_an_old_clients_token_goes_to_the_hub_and_to_no_mirror() -> None:
    assert job_of(PLACEMENT, BUNDLE, HUB, None)["old_secret_file"] == "/opt/crossover/models/token"
    assert job_of(PLACEMENT, BUNDLE, replace(HUB, endpoint="https://mirror.example"), None)["old_secret_file"] == ""


def test_only_the_hub_may_vouch_for_itself() -> None:
    bucket = wanted(**S3)
    assert "serving.weights.unverified" in refusal(bucket)
    assert refusal(replace(bucket, unverified=True)) == refusal(HUB) == ""
