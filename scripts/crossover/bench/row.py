"""What of a measurement stands in throughput.toml, and what makes no row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from cost_guard import wording
from cost_guard.catalogue.fit import fitted
from cost_guard.catalogue.throughput import ShapeRate
from scripts.crossover.bench.load import Load, Measured

MAX_FAILED_SHARE = 0.01
LEAST_SIGMA = 0.05
"""Two shapes are met exactly, which says nothing of other loads, days and machines of that kind."""
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


def fields(found: Sequence[tuple[Load, Measured]], today: date) -> dict[str, Any]:
    """The row's fields: P, D and sigma are the fit of what was found at the shapes. Raises ValueError where no P and D
    are best for them."""
    loads, simulated = [load for load, _ in found], any(one.simulated for _, one in found)
    shapes = [ShapeRate(load.input_tokens, load.output_tokens, _tenths(one.tokens_per_s)) for load, one in found]
    fit = fitted(shapes)
    first = loads[0]
    arguments = " ".join(f"--shape {load.input_tokens}/{load.output_tokens}" for load in loads)
    arguments += f" --concurrency {first.concurrency} --warm-up {first.warm_up_s:g} --duration {first.duration_s:g}"
    per_token_ms = max(one.milliseconds_per_output_token(load) for load, one in found)
    return {
        "prefillTokensPerSecond": _tenths(fit.prefill_tokens_per_second),
        "decodeTokensPerSecond": _tenths(fit.decode_tokens_per_second),
        "sigma": Decimal(f"{max(fit.sigma, LEAST_SIGMA):.2f}"),
        "kind": "illustrative" if simulated else "measured",
        "millisecondsPerOutputToken": Decimal(f"{per_token_ms:.1f}"),
        "shapes": [[one.input_tokens, one.output_tokens, float(one.tokens_per_second)] for one in shapes],
        "date": today,
        "source": f"`crossover bench --model {first.model} {arguments}` against vLLM {found[0][1].version}",
        "note": f"{sum(one.requests for _, one in found)} requests",
    }


def _tenths(value: float) -> Decimal:
    return Decimal(f"{value:.1f}")
