"""P and D of a machine, from what benchmarks found at several shapes of requests. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from cost_guard.catalogue.throughput import ShapeRate

_STEPS = 100
_ENOUGH = 1e-12
"""A step of both logarithms that is no longer worth another."""


@dataclass(frozen=True, slots=True)
class RateFit:
    """Ĉ = 1/(r/P + (1 − r)/D), where r of the tokens are input."""

    prefill_tokens_per_second: float
    decode_tokens_per_second: float
    sigma: float
    """The root mean square of ln Ĉ − ln C."""

    def rate(self, input_share: float) -> float:
        """Ĉ, in tokens a second."""
        return 1 / (input_share / self.prefill_tokens_per_second + (1 - input_share) / self.decode_tokens_per_second)


def fitted(shapes: Iterable[ShapeRate]) -> RateFit:
    """The P and D that minimise Σ(ln Ĉ − ln C)² over the shapes, by Gauss and Newton in the logarithms of both, so that
    neither becomes negative. Raises ValueError where all shapes have one share of input, or no P and D are best."""
    found = [
        (one.input_tokens / (one.input_tokens + one.output_tokens), float(one.tokens_per_second)) for one in shapes
    ]
    if len({share for share, _ in found}) < 2:
        raise ValueError("a fit needs shapes of two shares of input at least")
    middle = sum(math.log(rate) for _, rate in found) / len(found)
    prefill, decode = middle, middle
    for _ in range(_STEPS):
        by_prefill, by_decode = _step(found, prefill, decode)
        prefill, decode = prefill + by_prefill, decode + by_decode
        if abs(by_prefill) + abs(by_decode) < _ENOUGH:
            break
    else:
        raise ValueError(f"no P and D are best for these shapes: after {_STEPS} steps they still move")
    best = RateFit(math.exp(prefill), math.exp(decode), 0)
    squares = sum(math.log(best.rate(share) / rate) ** 2 for share, rate in found)
    return RateFit(best.prefill_tokens_per_second, best.decode_tokens_per_second, math.sqrt(squares / len(found)))


def _step(found: list[tuple[float, float]], prefill: float, decode: float) -> tuple[float, float]:
    """How far the logarithms of P and D are to move, by the normal equations at where they are. At most by one, so
    that a first guess far off does not run away."""
    aa = ab = bb = ar = br = 0.0
    for share, rate in found:
        reading, writing = share * math.exp(-prefill), (1 - share) * math.exp(-decode)
        whole = reading + writing
        off = -math.log(whole) - math.log(rate)
        a, b = reading / whole, writing / whole  # d ln Ĉ / d ln P, and by ln D
        aa, ab, bb, ar, br = aa + a * a, ab + a * b, bb + b * b, ar + a * off, br + b * off
    determinant = aa * bb - ab * ab
    if determinant <= aa * bb * _ENOUGH:
        raise ValueError("no P and D are best for these shapes: one of the two may be anything")
    steps = (ab * br - bb * ar) / determinant, (ab * ar - aa * br) / determinant
    longest = max(1.0, *map(abs, steps))
    return steps[0] / longest, steps[1] / longest
