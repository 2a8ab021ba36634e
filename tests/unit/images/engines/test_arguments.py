"""What may be said to vLLM: its own flags and variables, less what is ours and what opens a door."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from images.bundle import Bundle, Source
from images.engines import simulator, vllm
from images.engines.common import arguments
from images.engines.common.arguments import argument_problem, argument_words, known, variable_problem
from images.engines.common.base import EngineOptions
from images.engines.common.flags import Argument, flags
from images.gpu import matrix
from images.roles.inference.bundle import inference_bundle
from images.simulator import cli
from images.simulator.flags import IGNORED
from images.vehicles.ssh.layout.effects import effects

TABLE: dict[str, Any] = tomllib.loads(arguments.FILE.read_text("utf-8"))
OPTIONS = EngineOptions(model="meta-llama/Llama-3.3-70B-Instruct", served_names=("llama-70b",))
TEMPLATE = Source("serving/chat-template.jinja", "templates/tools.jinja", "0" * 64)


@pytest.mark.parametrize("flag", TABLE["refused"])
def test_what_is_ours_or_opens_a_door_is_refused_with_its_reason(flag: str) -> None:
    assert argument_problem(flag, True) == TABLE["refused"][flag]
    assert flag in flags(), "a reason for a flag that vLLM does not have says nothing"


@pytest.mark.parametrize(
    "flag",
    [
        *(
            "host",
            "port",
            "uds",
            "grpc",
            "ssl-keyfile",
            "ssl-ca-certs",
            "ssl-cert-reqs",
            "api-key",
            "served-model-name",
        ),
        *("model", "revision", "max-model-len", "max-num-seqs", "max-num-queued-reqs", "tensor-parallel-size"),
        *("shutdown-timeout", "enable-prefix-caching", "middleware", "tool-parser-plugin", "reasoning-parser-plugin"),
        *("trust-remote-code", "allow-credentials", "allowed-origins", "root-path", "enable-ssl-refresh", "config"),
        *("download-dir", "logits-processors", "worker-cls", "worker-extension-cls", "scheduler-cls", "headless"),
        *("kv-transfer-config", "data-parallel-address", "enable-sleep-mode", "enable-server-load-tracking"),
        *("enable-request-id-headers", "disable-fastapi-docs", "hf-token", "allowed-local-media-path", "lora-modules"),
        *("enable-lora", "default-mm-loras", "profiler-config", "log-config-file", "distributed-executor-backend"),
    ],
)
def test_the_doors_are_in_the_table(flag: str) -> None:
    problem = argument_problem(flag, "x")
    assert problem is not None
    assert "no such flag" not in problem


@pytest.mark.parametrize(
    ("flag", "value", "words"),
    [
        ("max-num-batched-token", 8192, "has no such flag; did you mean max-num-batched-tokens?"),
        ("max_num_batched_tokens", 8192, "did you mean max-num-batched-tokens?"),
        ("no-enable-prefix-caching", True, "has no such flag"),
        ("zzzzzzzz", True, "`vllm serve --help=all` has them all"),
        ("load-format", "tensorizer", "anything else loads from elsewhere"),
        ("seed", "--middleware", "a value that begins with a dash would be another flag"),
        ("cudagraph-capture-sizes", (1, "--middleware"), "a value that begins with a dash would be another flag"),
        ("cudagraph-capture-sizes", (), "an empty list says nothing"),
        ("generation-config", "a\nb", "must be a text of one line"),
        ("generation-config", "@SECRET:vllm-api-key@", "an @ before a capital letter"),
        ("compilation-config", {"mode": "@ROOT@"}, "an @ before a capital letter"),
        ("compilation-config", {"backend": "acme.compile"}, "backend: it loads code by name"),
        ("structured-outputs-config", {"reasoning-parser-plugin": "x.py"}, "reasoning_parser_plugin: it runs a file"),
        ("structured-outputs-config", '{"reasoning_parser_plugin": "x.py"}', "give it as a map"),
        ("compilation-config", ('{"backend": "acme.compile"}',), "give it as a map"),
        ("compilation-config", {1: "a", "b": 2}, "its keys are texts, and what they hold is what JSON knows"),
        ("compilation-config", {"day": date(2026, 1, 1)}, "its keys are texts, and what they hold is what JSON knows"),
        ("hf-overrides", {"factor": float("nan")}, "its keys are texts, and what they hold is what JSON knows"),
    ],
)
def test_what_vllm_would_not_take_or_take_for_something_else_is_told(flag: str, value: Any, words: str) -> None:
    assert words in str(argument_problem(flag, value))


@pytest.mark.parametrize(
    ("flag", "value", "told"),
    [
        ("seed", "abc", "takes a whole number, got 'abc'"),
        ("seed", 1.5, "takes a whole number, got 1.5"),
        ("seed", True, "takes a whole number, got true"),
        ("seed", (1, 2), "takes a whole number, got [1, 2]"),
        ("seed", "1.0", "takes a whole number, got '1.0'"),
        ("cpu-offload-gb", "4 GB", "takes a number, got '4 GB'"),
        ("cpu-offload-gb", float("inf"), "takes a number, got inf"),
        ("cpu-offload-gb", False, "takes a number, got false"),
        ("max-num-batched-tokens", "16 k", "takes a whole number, or one with a unit such as 16k, got '16 k'"),
        ("max-num-batched-tokens", "1.5K", "takes a whole number, or one with a unit such as 16k, got '1.5K'"),
        ("enforce-eager", "yes", "takes true or false, got 'yes'"),
        ("enforce-eager", 1, "takes true or false, got 1"),
        ("aggregate-engine-logging", False, "takes true alone: to leave it off, leave it out, got false"),
        ("tokenizer", True, "takes a text, got true"),
        ("tokenizer", ("a", "b"), "takes a text, got ['a', 'b']"),
        ("cudagraph-capture-sizes", (1, "x"), "takes whole numbers, in a list, got [1, 'x']"),
        ("ignore-patterns", {"a": 1}, "takes texts, in a list, got {'a': 1}"),
        ("speculative-config", "ngram", "takes a map, got 'ngram'"),
        ("hf-overrides", (1,), "takes a map or a text, got [1]"),
        ("scheduling-policy", "fcf", "takes fcfs or priority, got 'fcf'; did you mean fcfs?"),
        ("scheduling-policy", True, "takes fcfs or priority, got true"),
        ("collect-detailed-traces", ("model", "gpu"), "takes all or model or worker, got 'gpu'"),
    ],
)
def test_a_value_of_another_type_is_told_with_what_the_flag_takes(flag: str, value: Any, told: str) -> None:
    assert argument_problem(flag, value) == told


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        *(("seed", 42), ("seed", "-42"), ("cpu-offload-gb", 4), ("cpu-offload-gb", "0.5"), ("tokenizer", "org/name")),
        *(("max-num-batched-tokens", 8192), ("max-num-batched-tokens", "16k"), ("max-num-batched-tokens", "25.6k")),
        *(("enforce-eager", True), ("async-scheduling", False), ("aggregate-engine-logging", True)),
        *(("cudagraph-capture-sizes", 1), ("cudagraph-capture-sizes", (1, "2")), ("ignore-patterns", ("a", "b"))),
        *(
            ("speculative-config", {"method": "ngram"}),
            ("speculative-config", '{"method": "ngram"}'),
            ("hf-overrides", "x"),
        ),
        ("hf-overrides", {"a": 1}),
        *(("scheduling-policy", "fcfs"), ("collect-detailed-traces", "all")),
        *(("collect-detailed-traces", ("model", "worker")), ("optimization-level", 2)),
    ],
)
def test_what_vllms_command_line_takes_is_taken(flag: str, value: Any) -> None:
    assert argument_problem(flag, value) is None


def test_words_are_vllms_own_in_a_fixed_order() -> None:
    given: dict[str, Argument] = {
        "seed": -1,
        "enforce-eager": True,
        "async-scheduling": False,
        "kv-cache-dtype": "fp8",
        "cudagraph-capture-sizes": (1, 2, 4),
        "compilation-config": {"mode": 3, "custom_ops": ["all"]},
    }
    assert all(argument_problem(flag, value) is None for flag, value in given.items())
    assert argument_words(given) == (
        "--no-async-scheduling",
        *("--compilation-config", '{"custom_ops": ["all"], "mode": 3}'),
        *("--cudagraph-capture-sizes", "1", "2", "4"),
        "--enforce-eager",
        *("--kv-cache-dtype", "fp8"),
        *("--seed", "-1"),
    )
    assert argument_words(dict(reversed(given.items()))) == argument_words(given)


@pytest.mark.parametrize("name", ["NCCL_ X", "NCCL_$(id)", "CUDA_\nX", "OMP_NUM_THREADS=1", "NCCL_x"])
def test_what_no_shell_takes_for_a_variable_is_told_before_a_machine_is_rented(name: str) -> None:
    assert variable_problem(name, "1") == "a variable's name is capital letters, digits and _"


@pytest.mark.parametrize("name", TABLE["refusedVariables"])
def test_a_variable_that_is_ours_or_opens_a_door_is_refused_with_its_reason(name: str) -> None:
    assert variable_problem(name, "1") == TABLE["refusedVariables"][name]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("VLLM_USE_DEEP_GEM", "1", "reads no such variable; did you mean VLLM_USE_DEEP_GEMM?"),
        ("VLLM_QQQQQQQQQQQQQQQQQ", "1", "its module envs.py has them all"),
        ("PATH", "/tmp", "only variables of vLLM's and NCCL_*"),
        ("vllm_logging_level", "DEBUG", "only variables of vLLM's"),
        ("LD_PRELOAD", "x.so", "it loads a library into every process"),
        ("PYTHONPATH", "x", "it decides which code Python runs"),
        ("VLLM_DP_SIZE", "2", "one engine has a node to itself"),
        ("NCCL_DEBUG", "", "must be a text of one line"),
        ("NCCL_DEBUG_FILE", "@SECRET:tls.key@", "an @ before a capital letter"),
    ],
)
def test_any_other_variable_is_refused_too(name: str, value: str, words: str) -> None:
    assert words in str(variable_problem(name, value))


@pytest.mark.parametrize(
    ("name", "value"),
    [("VLLM_LOGGING_LEVEL", "DEBUG"), ("NCCL_DEBUG", "WARN"), ("OMP_NUM_THREADS", "8"), ("HF_XET_CACHE", "x")],
)  # fmt: skip
def test_variables_that_only_tune_may_be_set(name: str, value: str) -> None:
    assert variable_problem(name, value) is None


def test_the_words_are_those_of_the_pinned_vllm() -> None:
    """To move to another vLLM, read its flags, parsers and variables again, and look at each new one."""
    assert TABLE["version"] == matrix.pinned(matrix.load()).vllm


def test_the_parsers_of_the_known_models_are_vllms() -> None:
    assert {"llama3_json", "hermes", "qwen3_coder", "openai"} <= set(known("toolCallParsers"))
    assert {"qwen3", "openai_gptoss"} <= set(known("reasoningParsers"))


def test_a_node_is_told_what_was_chosen() -> None:
    chosen = replace(
        OPTIONS,
        dtype="bfloat16",
        quantization="fp8",
        tool_call_parser="llama3_json",
        reasoning_parser="qwen3",
        chat_template=TEMPLATE,
        gpu_memory_utilization=Decimal("0.9"),
        arguments={"kv-cache-dtype": "fp8"},
        environment={"NCCL_DEBUG": "WARN"},
    )
    before, after = vllm.command(OPTIONS), vllm.command(chosen)
    added = [
        *("--dtype", "bfloat16", "--quantization", "fp8"),
        *("--gpu-memory-utilization", "0.9", "--tool-call-parser", "llama3_json", "--reasoning-parser", "qwen3"),
        *("--chat-template", "@ROOT@/serving/chat-template.jinja"),
        *("--enable-auto-tool-choice", "--kv-cache-dtype", "fp8"),
    ]
    at = before.index("--enable-prefix-caching")
    assert after == (*before[:at], *added, *before[at:])
    made = inference_bundle(vllm.ENGINE, chosen, "PEM")
    assert TEMPLATE in made.sources
    assert made.services[0].environment["NCCL_DEBUG"] == "WARN"
    assert effects(made)[TEMPLATE.path] == {"vllm": "restart"}
    assert Bundle.from_dict(made.to_dict()) == made


def test_what_was_chosen_for_the_batch_replaces_what_we_would_choose() -> None:
    wide = replace(OPTIONS, max_num_seqs=4096, arguments={"max-num-batched-tokens": 8192})
    words = vllm.command(wide)
    assert [words[i + 1] for i, word in enumerate(words) if word == "--max-num-batched-tokens"] == ["8192"]


def test_variables_of_a_node_cannot_be_replaced() -> None:
    made = inference_bundle(simulator.ENGINE, replace(OPTIONS, environment={"PYTHONPATH": "x"}), "PEM")
    assert made.services[0].environment["PYTHONPATH"] == "@ROOT@/lib"


@pytest.mark.parametrize("flag", sorted(simulator.FLAGS))
def test_the_simulator_knows_the_flags_that_it_is_said_to(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A value is missing, or fits or does not; the flag itself is never unknown."""
    try:
        cli.parse(["serve", "m", f"--{flag}"], {})
    except SystemExit:
        assert "unrecognized arguments" not in capsys.readouterr().err


def test_what_the_simulator_takes_without_effect_may_be_set() -> None:
    assert set(IGNORED) <= simulator.FLAGS


def test_a_flag_that_only_vllm_knows_is_told_for_the_simulator() -> None:
    assert argument_problem("all2all-backend", "naive") is None
    told = str(argument_problem("all2all-backend", "naive", simulator.FLAGS))
    assert "it has additional-config, async-scheduling" in told
