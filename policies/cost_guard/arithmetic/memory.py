"""What a model needs of a machine's GPUs, and what is left for the requests: pure, in bytes and tokens.

vLLM takes `utilisation` of each GPU's memory, subtracts the weights and the peak that it measures in a dry run, and
keeps the rest as KV cache (vllm/v1/worker/gpu_worker.py, determine_available_memory). Here the peak is RESERVE_BYTES,
which is more than vLLM measures as a rule: a plan that fits here fits there, and one that just does not may.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from cost_guard.catalogue.models import Shape

GIB = 1 << 30
UTILISATION = Decimal("0.92")
"""vLLM's default (vllm/config/cache.py of 0.32.0)."""
RESERVE_BYTES = 4 * GIB
"""A GPU: activations, CUDA's context and graphs, NCCL. NVIDIA's aiconfigurator counts 3.5 GiB and 392 MiB of NCCL for
eight A100 (aiconfigurator-core 0.12.0, systems/a100_sxm.yaml)."""
BATCHED_TOKENS = 8192
"""Tokens of one step, which a windowed layer holds besides its window: vLLM's largest default for a server."""

BITS = {
    **dict.fromkeys(("fp8", "fp8_per_tensor", "fp8_per_block", "fp8_per_channel", "fbgemm_fp8", "mxfp8"), Decimal(8)),
    **dict.fromkeys(("experts_int8", "int8_per_channel_weight_only"), Decimal(8)),
    **dict.fromkeys(("mxfp4", "gpt_oss_mxfp4"), Decimal("4.25")),
    **dict.fromkeys(("awq", "awq_marlin", "gptq", "gptq_marlin", "auto_awq", "auto_gptq"), Decimal("4.5")),
}
"""A quantized weight with its share of the scales; the embeddings keep 16. What is not here is not reckoned."""


@dataclass(frozen=True, slots=True)
class ServingSizes:
    """How a model is to be served."""

    tensor_parallel_size: int
    max_model_len: int
    utilisation: Decimal = UTILISATION
    quantization: str | None = None
    """In place of the published weights' own."""
    weight_type_bytes: int = 2
    """Of a weight that is not quantized."""
    kv_type_bytes: int = 2


@dataclass(frozen=True, slots=True)
class MachineGpus:
    """The GPUs of one machine."""

    count: int
    name: str
    memory_gib: Decimal
    """What CUDA reports in all of one."""


@dataclass(frozen=True, slots=True)
class Footing:
    """What one GPU holds. `kv_bytes` may be negative: then the weights do not fit."""

    weight_bytes: int
    kv_bytes: int
    kv_tokens: int
    """Of one long request."""
    sequences: int
    """Requests of the full length that fit at once."""


def weight_bytes(shape: Shape, wanted: ServingSizes) -> int | None:
    """Of the whole model; None where its parameters or their type are not known."""
    method = wanted.quantization or shape.quantization
    if shape.weight_bytes is not None and method == shape.quantization:
        return shape.weight_bytes
    if shape.parameters is None:
        return None
    if method is None:
        return shape.parameters * wanted.weight_type_bytes
    if method not in BITS:
        return None
    embeddings = min(2 * shape.hidden * shape.vocabulary, shape.parameters)
    return int((shape.parameters - embeddings) * BITS[method] / 8) + 2 * embeddings


def divides(shape: Shape, size: int) -> bool:
    """Whether so many GPUs can share the model: vLLM gives each as many heads, and splits KV heads or repeats them."""
    return shape.heads % size == 0 and (shape.kv_heads % size == 0 or size % shape.kv_heads == 0)


def kv_bytes_per_token(shape: Shape, wanted: ServingSizes, layers: int | None = None) -> int:
    """On one GPU, in `layers`, by default those that hold every token. A KV head is repeated where GPUs are more."""
    heads = max(1, shape.kv_heads // wanted.tensor_parallel_size)
    return 2 * (shape.full_layers if layers is None else layers) * heads * shape.head_size * wanted.kv_type_bytes


def request_bytes(shape: Shape, wanted: ServingSizes, tokens: int) -> int:
    """What one request of so many tokens holds on one GPU."""
    held = min(tokens, shape.window + BATCHED_TOKENS)
    windowed = kv_bytes_per_token(shape, wanted, shape.window_layers) * held
    state = -(-shape.state_bytes // wanted.tensor_parallel_size)
    return kv_bytes_per_token(shape, wanted) * tokens + windowed + state


def footing(shape: Shape, wanted: ServingSizes, machine: MachineGpus) -> Footing | None:
    """None where the weights' size is not known."""
    whole = weight_bytes(shape, wanted)
    if whole is None:
        return None
    weights = -(-whole // wanted.tensor_parallel_size)
    left = int(machine.memory_gib * wanted.utilisation * GIB) - RESERVE_BYTES - weights
    fixed = request_bytes(shape, wanted, 0)
    per_token = max(1, kv_bytes_per_token(shape, wanted))
    windowed = kv_bytes_per_token(shape, wanted, shape.window_layers) * (shape.window + BATCHED_TOKENS)
    return Footing(
        weight_bytes=weights,
        kv_bytes=left,
        kv_tokens=max(0, (left - fixed - windowed) // per_token),
        sequences=max(0, left // max(1, request_bytes(shape, wanted, wanted.max_model_len))),
    )
