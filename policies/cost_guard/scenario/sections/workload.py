"""The workload of a scenario: how many tokens, of what shape, how spread over the month, and how well known."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import model_validator

from strict.fields import Name, Section, Share, without_null
from strict.numbers import Number, refuse
from strict.problems import about

UNREAD = Decimal("NaN")
"""The volume of a scenario that names a usage file which nobody has read yet: no arithmetic succeeds on it."""


class _Volume(Number):
    def parse(self, value: object) -> Decimal:
        return UNREAD if value is UNREAD else super().parse(value)


# 1e16 tokens a month are 3.8e9 tokens/s: 800,000 nodes of 4,759 tokens/s. Anything above is a slip of the exponent.
TokensPerMonth = Annotated[
    Decimal, _Volume(at_least="1", at_most="1e16", hint="give the tokens of one month, input and output, e.g. 6e9")
]
PeakToMean = Annotated[
    Decimal, Number(at_least="1", at_most="1000", hint="the peak hour over the mean hour, at least 1")
]
_MEASURED = ("kind", "inputShare", "cachedShare", "peakToMean")


class Workload(Section):
    """How many tokens, how spread, and how well known: exactly one of tokensPerMonth and usage says it."""

    model: Name | None = None
    """What the nodes serve, by its Hugging Face repository. A stack says it in serving.model."""
    tokens_per_month: TokensPerMonth
    """All that `managed` carries, displaced or not."""
    usage: Name | None = None
    """Path of a usage file that is still to be read (`usage.with_usage`)."""
    kind: Literal["asserted", "forecast", "measured"] = "asserted"
    input_share: Share = Decimal("0.75")
    cached_share: Share = Decimal(0)
    """Of the input, what the managed API finds in its cache."""
    prefix_hit_share: Share | None = None
    """Of the input, what vLLM finds in its own prefix cache; None takes `cached_share`, which is an assumption."""
    peak_to_mean: PeakToMean = Decimal("1.3")
    growth_per_month: Annotated[Decimal, Number(above="-1", at_most="10", hint="0.15 means 15 % more each month")] = (
        Decimal(0)
    )

    @model_validator(mode="before")
    @classmethod
    def _of_this_edition(cls, data: object) -> object:
        if isinstance(data, Mapping) and "displacedShare" in data:
            raise about(
                "displacedShare",
                "this key is gone; give managed.routes, and say displaced: false of the models that stay managed",
            )
        return data

    @model_validator(mode="before")
    @classmethod
    def _one_source(cls, data: object) -> object:
        if not isinstance(data, Mapping) or data.get("usage") is None:
            return without_null(data, "usage")
        if "tokensPerMonth" in data:
            raise refuse("give exactly one of tokensPerMonth and usage, not both")
        if said := [key for key in _MEASURED if key in data]:
            raise refuse(f"the usage file says {', '.join(said)}; take it away here, or give tokensPerMonth instead")
        return {**data, "tokensPerMonth": UNREAD}

    @property
    def prefix_hits(self) -> Decimal:
        """h: of the input, what the nodes find in their own cache, given or assumed."""
        return self.cached_share if self.prefix_hit_share is None else self.prefix_hit_share

    @property
    def assumes_prefix_hits(self) -> bool:
        """Whether h is not given, and not 0."""
        return self.prefix_hit_share is None and self.cached_share > 0
