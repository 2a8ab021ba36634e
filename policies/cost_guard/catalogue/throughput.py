"""What a machine serves of a model: the rows of throughput.toml."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, ClassVar, Literal, NamedTuple

from pydantic import PlainSerializer, PlainValidator, field_validator, model_validator

from strict.fields import Name
from strict.numbers import Number, refuse, shown
from strict.toml import Row

THROUGHPUT = "throughput.toml"
LEAST_MODELLED_SIGMA = Decimal("0.4")
"""Of a figure that no such machine has shown. NVIDIA's eight measured shapes of one model differ by 0.29 among them."""

TokensEachSecond = Annotated[Decimal, Number(above="0", at_most="1e9", hint="of one machine, all its GPUs together")]
_MOST = 10**9


class ShapeRate(NamedTuple):
    """What a benchmark found at one shape of requests."""

    input_tokens: int
    output_tokens: int
    tokens_per_second: Decimal
    """Input and output together."""


def _shapes(value: object) -> tuple[ShapeRate, ...]:
    """In one go, for there are hundreds and every judgement reads them: a field's own validators take 2 ms longer."""
    if not isinstance(value, (list, tuple)) or not all(map(_is_shape, value)):
        raise refuse(
            f"must be a list of [input tokens, output tokens, tokens per second], each above 0, got {shown(value)}"
        )
    return tuple(ShapeRate(reading, writing, Decimal(rate)) for reading, writing, rate in value)


def _told(shapes: tuple[ShapeRate, ...]) -> list[list[object]]:
    return [[reading, writing, f"{rate:f}"] for reading, writing, rate in shapes]


def _is_shape(one: object) -> bool:
    if not isinstance(one, (list, tuple)) or len(one) != len(ShapeRate._fields):
        return False
    reading, writing, rate = one
    if type(reading) is not int or type(writing) is not int or type(rate) not in (int, Decimal):
        return False
    return 0 < reading < _MOST and 0 < writing < _MOST and Decimal(rate).is_finite() and 0 < rate < _MOST


class Throughput(Row):
    """What all GPUs of one machine serve of one model, keyed `machine@model`: 1/(r/P + (1 − r)/D) tokens a second where
    r of the tokens are input."""

    FILE: ClassVar = THROUGHPUT

    prefill_tokens_per_second: TokensEachSecond
    """P: input tokens a second, if there were nothing else to do."""
    decode_tokens_per_second: TokensEachSecond
    """D: output tokens a second, if there were nothing else to do."""
    sigma: Annotated[Decimal, Number(at_least="0", at_most="3", hint="of the logarithm of what it serves")]
    """How far the truth may be off, as a standard deviation of the logarithm."""
    kind: Literal["measured", "published", "modelled", "illustrative"]
    milliseconds_per_output_token: Annotated[Decimal, Number(above="0", at_most="1e5")] | None = None
    """What the benchmark kept to; None where it ignored latency, and served as much as it could."""
    shapes: Annotated[tuple[ShapeRate, ...], PlainValidator(_shapes), PlainSerializer(_told)] = ()
    """What P, D and sigma are a fit of (fit.py); empty where they are given, or scaled."""
    scaled_from: Name | None = None
    """The key of the row from which P and D were scaled (scaling.py): to another machine, or for another model by its
    size, or, where one shape is given, to what was found at that shape."""

    @field_validator("key")
    @classmethod
    def _machine_and_model(cls, key: str) -> str:
        machine, _, model = key.partition("@")
        if not machine or not model or "@" in model:
            raise refuse(f"a row is named machine@model, got {shown(key)}")
        return key

    @model_validator(mode="after")
    def _says_where_it_comes_from(self) -> Throughput:
        if self.kind == "published" and not self.shapes:
            raise refuse("shapes, which P and D are a fit of, are for kind = 'published', which cannot do without")
        if self.scaled_from is None and len(self.shapes) == 1:
            raise refuse("one shape alone tells no P and no D: name in scaledFrom the row in whose proportion they are")
        if self.kind == "modelled" and self.sigma < LEAST_MODELLED_SIGMA:
            raise refuse(f"sigma is at least {LEAST_MODELLED_SIGMA} where kind = 'modelled', got {self.sigma}")
        if self.scaled_from is not None and (self.kind != "modelled" or len(self.shapes) > 1):
            raise refuse("scaledFrom is for kind = 'modelled', with one shape or none")
        return self

    @property
    def machine(self) -> str:
        """A row of gpus.toml's machines."""
        return self.key.partition("@")[0]

    @property
    def model(self) -> str:
        """A row of models.toml, by its Hugging Face repository."""
        return self.key.partition("@")[2]
