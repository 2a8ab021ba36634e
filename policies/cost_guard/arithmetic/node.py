"""What one node costs and serves."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from cost_guard.units import SECONDS_PER_MONTH


@dataclass(frozen=True, slots=True)
class NodeKind:
    """One kind of node: a rung of a ladder, or what a quotation says."""

    name: str
    """The catalogue key; empty where the scenario itself gives price and throughput."""
    usd_per_month: Fraction
    """pay: what each month costs, without what is paid up front."""
    tokens_per_second: Fraction
    """C."""
    tokens_per_month: Fraction
    """s = C·u·H/ρ."""
    upfront_usd: Fraction = Fraction(0)
    """U, at the beginning of each commitment."""
    commitment_months: int = 1
    """L."""
    loss: Fraction = Fraction(0)
    """ℓ: the share of the paid time that serves nothing; less than 1."""
    factor: str = ""
    """Whose throughput draw it shares: "machine@model"."""
    price: str = ""
    """Whose price draw it shares."""

    @property
    def cost_usd_per_month(self) -> Fraction:
        """c = pay + U/L."""
        return self.usd_per_month + self.upfront_usd / self.commitment_months


def blended_tokens_per_second(
    prefill: Fraction, decode: Fraction, input_share: Fraction, prefix_hit_share: Fraction
) -> Fraction:
    """C = 1/(r(1 − h)/P + (1 − r)/D), in tokens per second; a ValueError where that divides by 0."""
    if prefill <= 0 or decode <= 0:
        raise ValueError(f"prefill and decode must be more than 0 tokens/s, they are {prefill} and {decode}")
    seconds_per_token = input_share * (1 - prefix_hit_share) / prefill + (1 - input_share) / decode
    if seconds_per_token == 0:
        raise ValueError(
            "no token would cost any time: all are input, and all of that is found in the prefix cache; "
            "lower inputShare or prefixHitShare"
        )
    return 1 / seconds_per_token


def tokens_per_month(tokens_per_second: Fraction, utilisation: Fraction, peak_to_mean: Fraction) -> Fraction:
    """s = C·u·H/ρ: what one node serves in a month."""
    return tokens_per_second * utilisation * SECONDS_PER_MONTH / peak_to_mean
