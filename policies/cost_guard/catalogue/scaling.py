"""What a machine serves of a model, reckoned from another row: prefill by FLOPs, decode by bandwidth. Pure.

It knows nothing of what else differs: links between GPUs, kernels, and how many requests the memory holds at once. So
sigma is wide where it is used.
"""

from __future__ import annotations

from decimal import Decimal

from cost_guard.catalogue.machines import GpuMachine
from cost_guard.catalogue.models import KnownModel
from cost_guard.catalogue.throughput import ShapeRate, Throughput

KEPT = Decimal("0.75")
"""Of twice the GPUs, what one engine makes of them: they wait for one another. vLLM with gpt-oss-120b keeps 0.79 from
one A100 to two (4,986 to 7,898 tokens/s), 0.74 from two H100 to four (16,042 to 23,759; GPUStack's performance lab)."""

Rates = tuple[Decimal, Decimal]
"""P and D, in whole tokens a second."""


def scaled(row: Throughput, known: GpuMachine, other: GpuMachine) -> Rates:
    """P and D of `other`, from a row of `known`: all GPUs of each together."""
    kept = Decimal(1)
    gpus = known.gpus
    while gpus < other.gpus:
        gpus, kept = 2 * gpus, kept * KEPT
    flops = kept * other.gpus * other.tflops / (known.gpus * known.tflops)
    bandwidth = kept * other.gpus * other.gigabytes_per_second / (known.gpus * known.gigabytes_per_second)
    return round(row.prefill_tokens_per_second * flops, 0), round(row.decode_tokens_per_second * bandwidth, 0)


def resized(row: Throughput, known: KnownModel, other: KnownModel) -> Rates:
    """P and D of another dense model on the same machine: a token that is read costs FLOPs by parameters, one that is
    written the bytes of all weights."""
    p = row.prefill_tokens_per_second * known.parameters / other.parameters
    d = row.decode_tokens_per_second * _weight_bytes(known) / _weight_bytes(other)
    return round(p, 0), round(d, 0)


def _weight_bytes(model: KnownModel) -> int:
    """Of 16 bits a weight, or 8 where it is quantized: of models of FP8."""
    return model.parameters * (2 if model.quantization is None else 1)


def through(row: Throughput, shape: ShapeRate) -> Rates:
    """P and D in the proportion of a row, such that they serve what one benchmark found at one shape."""
    share = Decimal(shape.input_tokens) / (shape.input_tokens + shape.output_tokens)
    p, d = row.prefill_tokens_per_second, row.decode_tokens_per_second
    factor = shape.tokens_per_second * (share / p + (1 - share) / d)
    return round(p * factor, 0), round(d * factor, 0)
