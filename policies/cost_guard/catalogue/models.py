"""The models that are known: what the memory arithmetic reckons with, and by which row their throughput is found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import model_validator

from strict.fields import Flag, Name
from strict.numbers import Whole
from strict.toml import Row, read_rows

MODELS = "models.toml"
_FILE = Path(__file__).parent / "data" / MODELS

Count = Annotated[int, Whole(at_least="1", at_most="1e9")]
Many = Annotated[int, Whole(at_least="1", at_most="1e15")]
NoneOrMany = Annotated[int, Whole(at_least="0", at_most="1e15")]

COUNTED = ("llama", "mistral", "qwen3", "qwen3_moe")
"""The values of a config.json's `model_type` whose parameters are counted from its shape."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What of a model decides how much memory it needs. Raises ValueError for one that contradicts itself."""

    parameters: int | None
    """All of them, whether a token uses them or not. None where they are not known."""
    weight_bytes: int | None = None
    """Of the safetensors as published, where they are known and hold several types."""
    quantization: str | None = None
    """vLLM's name of how the published weights are quantized; None is 16 bits."""
    layers: int
    full_layers: int
    """Layers whose cache holds every token."""
    window_layers: int = 0
    """Layers whose cache holds the last `window` tokens."""
    window: int = 0
    state_bytes: int = 0
    """What layers without such a cache keep of one request."""
    heads: int
    kv_heads: int
    head_size: int
    hidden: int
    vocabulary: int
    context: int
    """Tokens for which it was made."""

    def __post_init__(self) -> None:
        if self.layers < self.full_layers + self.window_layers:
            raise ValueError("layers: fewer than kvLayers and windowLayers together")
        if bool(self.window_layers) != bool(self.window):
            raise ValueError("window: of windowLayers, and only of those")


class KnownModel(Row):
    """A row of models.toml; what it says of the shape is what Shape says."""

    also: tuple[str, ...] = ()
    """Repositories of the same shape and types."""
    serves_as: Name | None = None
    """The model of the same shape and types by whose rows of throughput.toml it is judged; None is its own."""
    quantizes: Name | None = None
    """The model whose weights these are, with fewer bits: who sells those, sells these."""
    parameters: Many
    active_parameters: Many | None = None
    """Those that one token uses, where it does not use all."""
    weight_bytes: Many | None = None
    quantization: Name | None = None
    layers: Count
    kv_layers: Count | None = None
    """Shape.full_layers; None is all."""
    window_layers: NoneOrMany = 0
    window: NoneOrMany = 0
    state_bytes: NoneOrMany = 0
    heads: Count
    kv_heads: Count
    head_size: Count
    hidden: Count
    vocabulary: Count
    context: Count
    tool_call_parser: Name | None = None
    reasoning_parser: Name | None = None
    gated: Flag
    """Whether its weights are given only to accounts that were let in."""

    @model_validator(mode="after")
    def _has_a_shape(self) -> KnownModel:
        assert self.shape
        return self

    @property
    def shape(self) -> Shape:
        """What the memory arithmetic needs of it."""
        own = {field.name: getattr(self, field.name) for field in fields(Shape) if field.name != "full_layers"}
        return Shape(**own, full_layers=self.layers if self.kv_layers is None else self.kv_layers)


@lru_cache(maxsize=1)
def load_models() -> Mapping[str, KnownModel]:
    """The committed table by each name that a model has. Raises CatalogueError."""
    return read_models(_FILE)


def read_models(path: Path) -> Mapping[str, KnownModel]:
    """The table of a file, as it stands now. Raises CatalogueError."""
    rows = read_rows(path, KnownModel).values()
    return {name: row for row in rows for name in (row.key, *row.also)}


def shape_from(fields: Mapping[str, Any]) -> Shape:
    """Of its fields as plain data. Raises ValueError."""
    return Shape(**{"parameters": None, **fields})


def shape_of(config: Mapping[str, Any]) -> Shape:
    """The shape that a model's config.json tells. Raises ValueError, which says what it lacks."""
    text = config.get("text_config", config)
    found = {name: text.get(key) for name, key in _KEYS.items()}
    if missing := [_KEYS[name] for name, value in found.items() if not isinstance(value, int) or value < 1]:
        raise ValueError(f"it has no whole number {', '.join(missing)}")
    kinds = text.get("layer_types") or ["full_attention"] * found["layers"]
    if (every := text.get("full_attention_interval")) and "layer_types" not in text:
        kinds = ["full_attention"] * (found["layers"] // every)
    sliding = kinds.count("sliding_attention")
    kv_heads = text.get("num_key_value_heads") or found["heads"]
    head_size = text.get("head_dim") or found["hidden"] // found["heads"]
    return Shape(
        **found,
        parameters=_parameters(text, kv_heads, head_size),
        quantization=(config.get("quantization_config") or {}).get("quant_method"),
        full_layers=kinds.count("full_attention"),
        window_layers=sliding,
        window=text["sliding_window"] if sliding else 0,
        state_bytes=_state_bytes(text, found["layers"] - len([k for k in kinds if k != "linear_attention"])),
        kv_heads=kv_heads,
        head_size=head_size,
    )


_KEYS = {
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "hidden": "hidden_size",
    "vocabulary": "vocab_size",
    "context": "max_position_embeddings",
}


def _parameters(text: Mapping[str, Any], kv_heads: int, head_size: int) -> int | None:
    """The sum over its tensors: embeddings, per layer attention, feed-forward and two norms, and one norm."""
    kind = text.get("model_type")
    if kind not in COUNTED:
        return None
    hidden, heads, layers = text["hidden_size"], text["num_attention_heads"], text["num_hidden_layers"]
    attention = 2 * hidden * head_size * (heads + kv_heads)
    if kind.startswith("qwen3"):
        attention += 2 * head_size  # the norms of queries and keys
    experts = text.get("num_experts", 0)
    feed_forward = 3 * hidden * (text["moe_intermediate_size"] * experts if experts else text["intermediate_size"])
    router = hidden * experts
    embeddings = hidden * text["vocab_size"] * (1 if text.get("tie_word_embeddings") else 2)
    return int(embeddings + layers * (attention + feed_forward + router + 2 * hidden) + hidden)


def _state_bytes(text: Mapping[str, Any], layers: int) -> int:
    """What linear attention keeps of a request: a matrix a value head in float32, and the convolution's last inputs in
    16 bits."""
    keys, values = text.get("linear_num_key_heads"), text.get("linear_num_value_heads")
    if not layers or not keys or not values:
        return 0
    key_size, value_size = text["linear_key_head_dim"], text["linear_value_head_dim"]
    matrix = 4 * values * key_size * value_size
    inputs = 2 * (text["linear_conv_kernel_dim"] - 1) * (2 * keys * key_size + values * value_size)
    return int(layers * (matrix + inputs))
