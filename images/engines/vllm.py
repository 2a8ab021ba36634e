"""vLLM, on GPUs. Read from 0.32.0."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from images.bundle import PythonEnvironment, Runtime, RuntimeKind
from images.engines.common.arguments import argument_words
from images.engines.common.base import (
    CERTIFICATE_SECRET,
    GPUS,
    PRIVATE_KEY_SECRET,
    SERVICE,
    WEIGHTS,
    Canary,
    Engine,
    EngineMetrics,
    EngineNeeds,
    EngineOptions,
    HealthPath,
)
from images.sources import repository_source

REQUIREMENTS = "requirements/vllm.txt"
"""The lock of `serving.runtime: environment`."""
INSTALLER = "requirements/uv.txt"
"""uv's: pip downloads and unpacks those gigabytes one wheel after another."""
DISK_BYTES = 9_500_000_000
"""uv made 8.46 GB of that lock's 4.3 GB of wheels on 2026-11-29; a tenth more, for what is on its way."""

_BATCHED_TOKENS = 2048
"""vLLM's default of --max-num-batched-tokens; it refuses a smaller one than --max-num-seqs."""
_LOADING_S = 1500
"""A 70B model is 131 GiB of weights; from a network disk at 200 MB/s that alone is 12 minutes."""
_TEARDOWN_S = 20
"""Measured with one worker: 5 to 12 s from the last answer to the end of the processes. With a request that came in
between, 45 s: that one is killed."""


def flags(options: EngineOptions) -> tuple[str, ...]:
    """The arguments after `serve MODEL`, tokens allowed."""
    flags = {
        "--host": "@BIND@",
        "--port": f"@PORT:{SERVICE}@",
        "--ssl-certfile": f"@SECRET:{CERTIFICATE_SECRET}@",
        "--ssl-keyfile": f"@SECRET:{PRIVATE_KEY_SECRET}@",
        "--max-model-len": str(options.max_model_len),
        "--max-num-seqs": str(options.max_num_seqs),
        "--max-num-queued-reqs": str(options.max_num_queued_reqs),
        "--tensor-parallel-size": str(options.tensor_parallel_size),
        "--shutdown-timeout": str(options.shutdown_timeout_s),
    }
    if options.max_num_seqs > _BATCHED_TOKENS:
        flags["--max-num-batched-tokens"] = str(options.max_num_seqs)
    if options.client_ca:
        flags["--ssl-ca-certs"] = options.client_ca
        flags["--ssl-cert-reqs"] = "2"  # Python's ssl.CERT_REQUIRED
    flags |= _chosen(options)
    words = tuple(word for flag in flags.items() if flag[0][2:] not in options.arguments for word in flag)
    return words + tuple(word for name in options.middleware for word in ("--middleware", name))


def _chosen(options: EngineOptions) -> dict[str, str]:
    """Flags of what vLLM would else choose itself."""
    template = options.chat_template
    flags = {
        "--dtype": options.dtype,
        "--quantization": options.quantization,
        "--gpu-memory-utilization": options.gpu_memory_utilization,
        "--tool-call-parser": options.tool_call_parser,
        "--reasoning-parser": options.reasoning_parser,
        "--chat-template": None if template is None else f"@ROOT@/{template.path}",
    }
    return {flag: str(value) for flag, value in flags.items() if value is not None}


def command(options: EngineOptions, *more: str) -> tuple[str, ...]:
    """`serve MODEL` with its flags, and `more` of them."""
    tools = () if options.tool_call_parser is None else ("--enable-auto-tool-choice",)
    names = ("--enable-prefix-caching", "--disable-fastapi-docs", "--served-model-name", *options.served_names)
    return ("serve", options.model, *flags(options), *tools, *argument_words(options.arguments), *more, *names)


def one_token(model: str, prompt: str) -> dict[str, Any]:
    """The body of the smallest completion."""
    return {"model": model, "prompt": prompt, "max_tokens": 1, "temperature": 0}


def needs(kind: RuntimeKind) -> EngineNeeds:
    """An environment of its own, from this repository's lock; else the machine must have it on its PATH, as the images
    vllm/vllm-openai do on that of their process 1."""
    variables = {"HF_HOME": "@ROOT@/models", "VLLM_NO_USAGE_STATS": "1", "VLLM_ENGINE_READY_TIMEOUT_S": str(_LOADING_S)}
    directories = ("models",)
    if kind != "environment":
        runtime = Runtime(kind, "vllm", "vllm")
        # Nobody installs it there: what is looked at is told by `runtime`.
        return EngineNeeds(("vllm",), variables, directories=directories, runtime=runtime)
    program = "@ENV:vllm@/bin/vllm"
    return EngineNeeds(
        program=(program,),
        variables=variables,
        environments=(
            PythonEnvironment(
                "vllm",
                repository_source(REQUIREMENTS, REQUIREMENTS),
                disk_bytes=DISK_BYTES,
                installer=repository_source(INSTALLER, INSTALLER),
            ),
        ),
        # Triton and FlashInfer compile at first use, against Python's headers (vllm-project/vllm#2997, #14075).
        programs=("gcc", "python3-config"),
        directories=directories,
        runtime=Runtime(kind, "vllm", program),
    )


ENGINE = Engine(
    name="vllm",
    title="vLLM",
    port=8000,
    command=command,
    key_variable="VLLM_API_KEY",
    health=HealthPath("/health", deadline_s=_LOADING_S),
    # /health is 200 while the engine hangs. 429 and 503 are its admission's.
    canary=Canary("/v1/completions", one_token, busy=(429, 503)),
    metrics=EngineMetrics(
        namespace="vllm",
        model_label="model_name",
        prompt_tokens="vllm:prompt_tokens_total",
        cached_tokens="vllm:prefix_cache_hits_total",
        generated_tokens="vllm:generation_tokens_total",
    ),
    needs=needs,
    log_words=Path(__file__).with_name("vllm-log.toml"),
    teardown_s=_TEARDOWN_S,
    after=("nvidia-fabricmanager.service", "nvidia-persistenced.service"),
    locks_memory=True,
    capabilities=frozenset({GPUS, WEIGHTS}),
)
