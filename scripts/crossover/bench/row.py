"""What of a measurement stands in throughput.toml, and what makes no row."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from cost_guard import wording
from scripts.crossover.bench.load import Load, Measured

MAX_FAILED_SHARE = 0.01
LENGTH_SLACK = 0.02
"""By how much the server's own count of tokens may miss the shape."""


def refusal(found: Measured, load: Load, simulated: bool) -> str:
    """Why the figure makes no row; empty where it does."""
    if found.simulated and not simulated:
        return f"the server is a simulator ({found.version}): its speed is a setting; --simulated takes it nevertheless"
    if found.failed > MAX_FAILED_SHARE * (found.failed + found.requests):
        failed = wording.count(found.failed, "request")
        return f"{failed} failed: a server that refuses is not measured; lower --concurrency"
    wanted = load.input_tokens / load.output_tokens
    if abs(found.input_tokens_per_s / max(found.output_tokens_per_s, 1e-9) / wanted - 1) > LENGTH_SLACK:
        told = f"{found.input_tokens_per_s:.1f} input to {found.output_tokens_per_s:.1f} output tokens/s"
        return f"the server counted {told}, which is not the shape {load.input_tokens}/{load.output_tokens}"
    return ""


def fields(found: Measured, load: Load, today: date) -> dict[str, Any]:
    """The row's fields."""
    arguments = f"--model {load.model} --shape {load.input_tokens}/{load.output_tokens}"
    arguments += f" --concurrency {load.concurrency} --warm-up {load.warm_up_s:g} --duration {load.duration_s:g}"
    return {
        "tokensPerSecond": Decimal(f"{found.tokens_per_s:.1f}"),
        "date": today,
        "kind": "illustrative" if found.simulated else "measured",
        "source": f"`crossover bench {arguments}` against vLLM {found.version}",
        "note": f"{found.requests} requests, {found.mean_latency_s:.2f} s each",
    }
