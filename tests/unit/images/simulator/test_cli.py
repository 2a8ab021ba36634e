from __future__ import annotations

import pytest

from images.simulator.cli import parse
from images.simulator.settings import ServeSettings, Tls


def settings(*arguments: str, **environment: str) -> ServeSettings:
    return parse(["serve", "org/model", *arguments], environment)


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[object, str]:
    with pytest.raises(SystemExit) as exit_:
        settings(*arguments)
    return exit_.value.code, capsys.readouterr().err


NODE = """
    --host 127.0.0.1 --port 8443 --served-model-name llama-70b alias --api-key k1 k2
    --max-model-len 32k --max-num-seqs 128 --max-num-queued-reqs 160 --max-num-queued-tokens 100k
    --shutdown-timeout 30 --ssl-keyfile k.pem --ssl-certfile c.pem --ssl-ca-certs ca.pem
    --tensor-parallel-size 8 --data-parallel-size 2 --gpu-memory-utilization 0.92 --enable-prefix-caching
    --dtype bfloat16 --quantization awq --max-num-batched-tokens 8K --download-dir d --trust-remote-code
    --uvicorn-log-level warning --no-enable-log-requests --seed 1 --kv-cache-dtype auto --block-size 32
"""


def test_what_a_node_is_started_with_is_understood() -> None:
    got = settings(*NODE.split())
    assert (got.host, got.port, got.served_names, got.api_keys) == (
        "127.0.0.1",
        8443,
        ("llama-70b", "alias"),
        ("k1", "k2"),
    )
    assert (got.max_model_len, got.max_num_seqs, got.max_num_queued_reqs) == (32_000, 128, 160)
    assert (got.max_num_queued_tokens, got.max_num_batched_tokens, got.block_size) == (100_000, 8192, 32)
    assert (got.shutdown_timeout_s, got.data_parallel_size, got.log_level) == (30, 2, "warning")
    assert got.tls == Tls("k.pem", "c.pem", "ca.pem", 0)


def test_defaults_are_vllms_but_for_the_address() -> None:
    got = settings()
    assert (got.host, got.port, got.served_names, got.api_keys, got.tls) == (
        "127.0.0.1",
        8000,
        ("org/model",),
        (),
        None,
    )
    assert (got.max_num_seqs, got.max_num_batched_tokens, got.max_num_queued_reqs) == (256, 2048, None)
    assert (got.shutdown_timeout_s, got.prefix_caching, got.prompt_tokens_details) == (0, True, False)
    assert (got.faults, got.startup_s, got.time_scale, got.teardown_s) == (False, 0, 1, 7)


def test_the_flag_goes_before_the_variable_and_an_empty_key_is_none() -> None:
    assert settings(VLLM_API_KEY="from-env").api_keys == ("from-env",)
    assert settings("--api-key", "flag", VLLM_API_KEY="from-env").api_keys == ("flag",)
    assert settings(VLLM_API_KEY="").api_keys == ()


def test_how_long_an_idle_connection_is_kept_is_vllms_variable() -> None:
    assert (settings().keep_alive_s, settings(VLLM_HTTP_TIMEOUT_KEEP_ALIVE="3600").keep_alive_s) == (5, 3600)


def test_underscores_are_dashes_in_flags_but_not_in_values() -> None:
    got = settings("--max_num_seqs=7", "--served_model_name", "my_model")
    assert (got.max_num_seqs, got.served_names) == (7, ("my_model",))


@pytest.mark.parametrize(("text", "tokens"), [("1k", 1000), ("1K", 1024), ("25.6k", 25_600), ("auto", 131_072)])
def test_lengths_are_written_as_vllm_takes_them(text: str, tokens: int) -> None:
    assert settings("--max-model-len", text).max_model_len == tokens


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--not-a-flag"], "unrecognized arguments: --not-a-flag"),
        (["--max-num-seq", "1"], "unrecognized arguments: --max-num-seq"),
        (["--disable-log-requests"], "unrecognized arguments: --disable-log-requests"),
        (["--swap-space", "4"], "unrecognized arguments: --swap-space"),
        (["--max-num-seqs", "0"], "--max-num-seqs"),
        (["--max-num-seqs", "many"], "--max-num-seqs"),
        (["--max-num-queued-reqs", "-1"], "--max-num-queued-reqs"),
        (["--max-model-len", "1.5K"], "--max-model-len"),
        (["--port", "65536"], "--port"),
        (["--gpu-memory-utilization", "1.1"], "--gpu-memory-utilization"),
        (["--kv-cache-dtype", "int3"], "invalid choice: 'int3'"),
        (["--sim-time-scale", "-1"], "--sim-time-scale"),
        (["--sim-decode-tokens-per-s", "0"], "--sim-decode-tokens-per-s"),
        (["--sim-startup-s", "nan"], "--sim-startup-s"),
    ],
)
def test_a_wrong_flag_ends_with_2_and_names_it(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    code, error = refusal(capsys, *arguments)
    assert code == 2
    assert message in error


def test_a_missing_model_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        parse(["serve"], {})
    assert exit_.value.code == 2
    assert "required: model" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--max-model-len", "131073"], "greater than the derived max_model_len"),
        (["--max-num-batched-tokens", "100", "--max-num-seqs", "101"], "must be greater than or equal to max_num_seqs"),
        (["--sim-kv-cache-tokens", "100k"], "more KV cache is needed"),
        (["--sim-kv-cache-tokens", "200k", "--data-parallel-size", "2"], "more KV cache is needed"),
        (["--ssl-keyfile", "k.pem"], "--ssl-keyfile needs --ssl-certfile"),
    ],
)
def test_what_vllm_refuses_at_start_ends_with_1(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    code, error = refusal(capsys, *arguments)
    assert code == 1
    assert message in error


def test_a_cache_that_just_holds_the_longest_request_is_enough() -> None:
    assert settings("--sim-kv-cache-tokens", "2048", "--max-model-len", "2048").max_model_len == 2048
