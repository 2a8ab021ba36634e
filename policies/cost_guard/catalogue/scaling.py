"""What another machine serves of a model, reckoned from one that is known: prefill by FLOPs, decode by bandwidth. Pure.

It knows nothing of what else differs: links between GPUs, kernels, and how many requests the memory holds at once.
"""

from __future__ import annotations

from decimal import Decimal

from cost_guard.catalogue.machines import GpuMachine
from cost_guard.catalogue.throughput import Throughput


def scaled(row: Throughput, known: GpuMachine, other: GpuMachine) -> tuple[Decimal, Decimal]:
    """P and D of `other`, in whole tokens a second, from a row of `known`: all GPUs of each together."""
    flops = other.gpus * other.tflops / (known.gpus * known.tflops)
    bandwidth = other.gpus * other.gigabytes_per_second / (known.gpus * known.gigabytes_per_second)
    return round(row.prefill_tokens_per_second * flops, 0), round(row.decode_tokens_per_second * bandwidth, 0)
