"""What a trial takes for an answer of a whole GPU, how it counts, and what makes it be repeated."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from images.bundle import Bundle, Trial
from images.engines.common.base import EngineOptions
from images.gpu.acceptance.trial.agent import Wrong, figures, judge_answer, percentile
from images.gpu.acceptance.trial.trying import job_of, told
from images.roles.inference.bundle import TrialOptions, trial_of
from tests.unit.images.samples import layout

PROMPT = "The capital of France is"
TRIAL = Trial("tiny", "vllm", "api-key", "client", "@ROOT@/tls/ca.pem")
GOOD = [-0.01, -1.5, -0.3]


def test_a_known_answer_passes_whatever_its_case() -> None:
    judge_answer(PROMPT, " PARIS, of course", GOOD, "Paris")
    judge_answer(PROMPT, " anything", GOOD, "")


@pytest.mark.parametrize(
    ("text", "logprobs", "words"),
    [
        # NaN logits: token 0 again and again (vllm-project/vllm#22881)
        ("!!!!!!!!!!!!!!!!", GOOD, "computes NaN"),
        ("", GOOD, "computes NaN"),
        (" Paris", [-0.1, math.nan], "probabilities that are none"),
        (" Paris", [-0.1, -math.inf], "probabilities that are none"),
        (" Paris", [-0.1, None], "probabilities that are none"),
        (" Paris", [], "probabilities that are none"),
        (" Lyon, and more", GOOD, "'Paris' is not in it"),
    ],
)
def test_what_no_whole_gpu_answers_is_wrong(text: str, logprobs: list[float], words: str) -> None:
    with pytest.raises(Wrong, match=words) as wrong:
        judge_answer(PROMPT, text, logprobs, "Paris")
    assert repr(text) in str(wrong.value)


def test_tokens_count_by_the_share_of_their_request_inside_the_window() -> None:
    """Of 100 tokens from 0 to 10 s all, of 100 from 5 to 15 s half, in a window of 10 s."""
    found = figures([(0, 1, 10, 100), (5, 8, 15, 100)], 0, 10)
    assert found["output_tokens_per_s"] == (100 + 50) / 10
    assert (found["requests"], found["ttft_p50_ms"], found["ttft_p99_ms"]) == (2, 1000, 3000)


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.99, 99), (1, 100), (0, 1)])
def test_a_percentile_is_the_nearest_rank(share: float, value: int) -> None:
    assert percentile(range(1, 101), share) == value


def test_another_driver_version_weights_or_trial_is_another_key_and_no_secret_is_told() -> None:
    bundle = Bundle(role="inference", secrets=("api-key", "client"))
    placed = layout(bundle).host
    host = replace(placed, ports={**placed.ports, "vllm": 8000}, server_name="a.nodes.crossover.internal")

    def key(trial: Trial = TRIAL, **of: str) -> str:
        return str(job_of(host, bundle, trial, {"driver": "580.95.05", **of})["key"])

    assert key() == key()
    others = {key(driver="580.105.08"), key(vllm="0.33.0"), key(weights="x"), key(replace(TRIAL, load_s=1)), key()}
    assert len(others) == 5
    assert job_of(host, bundle, TRIAL, {})["key_file"] == f"{host.root}/secrets/api-key"


@pytest.mark.parametrize(("length", "queued", "shape"), [(32_768, 256, (32, 1024, 256)), (512, 8, (8, 256, 128))])
def test_a_load_fits_what_is_served(length: int, queued: int, shape: tuple[int, int, int]) -> None:
    options = EngineOptions("m", ("tiny",), max_model_len=length, max_num_queued_reqs=queued)
    trial = trial_of(options, TrialOptions())
    assert (trial.concurrency, trial.input_tokens, trial.output_tokens) == shape
    assert trial.input_tokens + trial.output_tokens <= length


def test_a_record_is_told_in_one_line() -> None:
    load = {"output_tokens_per_s": 812.5, "ttft_p50_ms": 90.0, "ttft_p99_ms": 240.5}
    shape = {"concurrency": 32, "input_tokens": 1024, "output_tokens": 256, "load_s": 60}
    record = {"date": "2026-11-29", "known": {"same_twice": True}, "load": {**load, **shape}}
    assert told(record) == (
        "812.5 tokens/s out, first token after 90 ms (p50) and 240.5 ms (p99), 32 at a time of 1024/256 tokens for 60 "
        "s on 2026-11-29"
    )
    assert told({"date": "2026-11-29", "known": {"same_twice": False}}) == (
        "a known answer on 2026-11-29; the same question had two answers"
    )
