"""vLLM's simulator (`images/simulator`), where there is no GPU: vLLM's flags, answers and metrics, at a set speed."""

from __future__ import annotations

from dataclasses import replace

from images.bundle import PythonEnvironment, RuntimeKind
from images.engines import vllm
from images.engines.common.base import RATES, EngineNeeds, EngineOptions, HealthPath
from images.sources import repository_source, repository_sources

TEARDOWN_S = "0.5"
"""A node here has no GPU to tear down: vLLM takes 5 to 12 s, for which nobody should wait at each change."""
REQUIREMENTS = "requirements/simulator.txt"
_NAMES = """
additional-config async-scheduling attention-backend attention-config block-size chat-template-content-format
compilation-config config-format cpu-offload-gb cudagraph-capture-sizes default-chat-template-kwargs
disable-access-log-for-endpoints disable-cascade-attn disable-custom-all-reduce disable-hybrid-kv-cache-manager
disable-uvicorn-access-log enable-chunked-prefill enable-dbo enable-eplb enable-expert-parallel
enable-force-include-usage enable-log-requests enable-prompt-tokens-details enforce-eager
exclude-tools-when-tool-choice-none generation-config kv-cache-dtype kv-cache-memory-bytes limit-mm-per-prompt
load-format logprobs-mode long-prefill-token-threshold max-cudagraph-capture-size max-logprobs max-num-batched-tokens
max-num-queued-tokens max-parallel-loading-workers mm-processor-cache-gb model-impl moe-backend
num-gpu-blocks-override optimization-level override-generation-config performance-mode prefix-caching-hash-algo
quantization-config renderer-num-workers response-role runner safetensors-load-strategy scheduling-policy seed
skip-mm-profiling speculative-config stream-interval structured-outputs-config tokenizer tokenizer-mode
tokenizer-revision uvicorn-log-level
"""
FLAGS = frozenset(_NAMES.split())
"""Of vLLM's flags that may be set, those that its command line takes; a flag that it does not know ends it."""


def command(options: EngineOptions) -> tuple[str, ...]:
    """vLLM's, and the rates."""
    told = {"teardown-s": TEARDOWN_S, **options.simulation}
    rates = {f"--sim-{name}": value for name, value in sorted(told.items())}
    return vllm.command(options, *(word for flag in rates.items() for word in flag))


def needs(_: RuntimeKind) -> EngineNeeds:
    """All of it comes from this repository."""
    locked = repository_source(REQUIREMENTS, REQUIREMENTS)
    return EngineNeeds(
        program=("@ENV:simulator@/bin/python", "-m", "simulator"),
        variables={"PYTHONPATH": "@ROOT@/lib"},
        environments=(PythonEnvironment("simulator", locked),),
        sources=repository_sources("lib/simulator", "images/simulator"),
    )


ENGINE = replace(
    vllm.ENGINE,
    name="simulator",
    command=command,
    health=HealthPath(vllm.ENGINE.health.path, deadline_s=120),
    needs=needs,
    teardown_s=10,
    after=(),
    locks_memory=False,
    capabilities=frozenset({RATES}),
    arguments=FLAGS,
)
