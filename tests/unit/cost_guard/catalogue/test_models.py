"""The tables of models and GPUs: cited, consistent, and what a config.json tells is what the tables say."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cost_guard.catalogue.catalogue import load_catalogue
from cost_guard.catalogue.machines import load_machines
from cost_guard.catalogue.models import KnownModel, load_models, shape_of
from images.engines.common.arguments import known
from strict.toml import CatalogueError, read_rows

LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 8192,
    "intermediate_size": 28_672,
    "max_position_embeddings": 131_072,
    "num_attention_heads": 64,
    "num_hidden_layers": 80,
    "num_key_value_heads": 8,
    "tie_word_embeddings": False,
    "vocab_size": 128_256,
}
CODER: dict[str, Any] = {
    "model_type": "qwen3_moe",
    "head_dim": 128,
    "hidden_size": 6144,
    "intermediate_size": 8192,
    "max_position_embeddings": 262_144,
    "moe_intermediate_size": 2560,
    "num_attention_heads": 96,
    "num_experts": 160,
    "num_hidden_layers": 62,
    "num_key_value_heads": 8,
    "vocab_size": 151_936,
}
OSS: dict[str, Any] = {
    "model_type": "gpt_oss",
    "head_dim": 64,
    "hidden_size": 2880,
    "intermediate_size": 2880,
    "layer_types": ["sliding_attention", "full_attention"] * 18,
    "max_position_embeddings": 131_072,
    "num_attention_heads": 64,
    "num_hidden_layers": 36,
    "num_key_value_heads": 8,
    "quantization_config": {"quant_method": "mxfp4"},
    "sliding_window": 128,
    "vocab_size": 201_088,
}
NEXT: dict[str, Any] = {
    "model_type": "qwen3_next",
    "full_attention_interval": 4,
    "head_dim": 256,
    "hidden_size": 2048,
    "linear_conv_kernel_dim": 4,
    "linear_key_head_dim": 128,
    "linear_num_key_heads": 16,
    "linear_num_value_heads": 32,
    "linear_value_head_dim": 128,
    "max_position_embeddings": 262_144,
    "num_attention_heads": 16,
    "num_hidden_layers": 48,
    "num_key_value_heads": 2,
    "vocab_size": 151_936,
}
"""Of their repositories' config.json, as cited in models.toml."""


@pytest.mark.parametrize(
    ("config", "model"),
    [
        (LLAMA, "meta-llama/Llama-3.3-70B-Instruct"),
        (CODER, "Qwen/Qwen3-Coder-480B-A35B-Instruct"),
        ({**CODER, "quantization_config": {"quant_method": "fp8"}}, "Qwen/Qwen3-Coder-480B-A35B-Instruct-FP8"),
        (OSS, "openai/gpt-oss-120b"),
        (NEXT, "Qwen/Qwen3-Next-80B-A3B-Instruct"),
        ({"text_config": NEXT}, "Qwen/Qwen3-Next-80B-A3B-Instruct"),
    ],
)
def test_a_config_tells_what_the_table_says(config: dict[str, Any], model: str) -> None:
    found, row = shape_of(config), load_models()[model].shape
    assert found.parameters in (None, row.parameters)
    assert replace(found, parameters=row.parameters, weight_bytes=row.weight_bytes) == row


@pytest.mark.parametrize(
    ("config", "parameters"),
    [
        (LLAMA, 141_107_412_992 // 2),
        ({**LLAMA, "hidden_size": 4096, "intermediate_size": 14_336, "num_attention_heads": 32,
          "num_hidden_layers": 32},
         16_060_522_496 // 2),
        ({**CODER, "hidden_size": 2048, "moe_intermediate_size": 768, "num_attention_heads": 32, "num_experts": 128,
          "num_hidden_layers": 48, "num_key_value_heads": 4}, 61_064_245_248 // 2),
    ],
    ids=["Llama 3.1 70B", "Llama 3.1 8B", "Qwen3 30B-A3B"],
)  # fmt: skip
def test_counted_parameters_are_half_the_bytes_of_the_published_files(config: dict[str, Any], parameters: int) -> None:
    assert shape_of(config).parameters == parameters


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, "it has no whole number num_hidden_layers, num_attention_heads, hidden_size"),
        ({**LLAMA, "vocab_size": "many"}, "it has no whole number vocab_size"),
        ({**LLAMA, "num_hidden_layers": 0}, "it has no whole number num_hidden_layers"),
    ],
)
def test_a_config_that_lacks_something_says_what(config: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        shape_of(config)


@pytest.mark.parametrize("model", sorted(load_models()))
def test_every_model_is_cited_and_its_parsers_are_vllms(model: str) -> None:
    row = load_models()[model]
    assert len(row.source) > 20
    assert row.tool_call_parser in (None, *known("toolCallParsers"))
    assert row.reasoning_parser in (None, *known("reasoningParsers"))
    assert row.quantization in (None, *known("quantizations"))
    assert row.gated or not model.startswith("meta-llama/")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("kvLayers = 90", "fewer than kvLayers and windowLayers together"),
        ("windowLayers = 2\nkvLayers = 2", "window: of windowLayers, and only of those"),
        ("window = 128", "window: of windowLayers, and only of those"),
    ],
)
def test_a_row_that_contradicts_itself_is_refused(tmp_path: Path, lines: str, words: str) -> None:
    shape = "layers = 80\nheads = 64\nkvHeads = 8\nheadSize = 128\nhidden = 8192\nvocabulary = 128256\ncontext = 4096"
    (tmp_path / "models.toml").write_text(
        f'["a/b"]\nparameters = 1\n{shape}\n{lines}\ngated = false\ndate = 2026-11-29\nsource = "s"\n'
    )
    with pytest.raises(CatalogueError, match=words):
        read_rows(tmp_path / "models.toml", KnownModel)


MODELS = {row.key: row for row in load_models().values()}


@pytest.mark.parametrize("model", sorted(MODELS))
def test_who_stands_for_a_model_has_its_shape(model: str) -> None:
    """Whose throughput counts for it is of the same shape, types and size; whose weights it quantizes, of as many
    parameters."""
    row = MODELS[model]
    if row.serves_as is not None:
        other = MODELS[row.serves_as]
        assert replace(other.shape, context=row.context) == row.shape
        assert other.serves_as is None
    if row.quantizes is not None:
        other = MODELS[row.quantizes]
        assert (other.parameters, other.layers, other.quantization) == (row.parameters, row.layers, None)
        assert row.quantization is not None


def test_who_sells_a_models_weights_has_its_row() -> None:
    """A row of managed.toml names the repository by a key of models.toml, which says nothing of its sellers."""
    managed = load_catalogue().managed
    assert {row.weights for row in managed.values()} - {None} <= set(MODELS)
    assert all(row.provider for row in managed.values())


@pytest.mark.parametrize(
    ("model", "cheapest"),
    [
        ("meta-llama/Llama-3.3-70B-Instruct", "deepinfra/meta-llama/Llama-3.3-70B-Instruct-Turbo"),
        ("meta-llama/Meta-Llama-3.1-8B-Instruct", "deepinfra/meta-llama/Meta-Llama-3.1-8B-Instruct-Turbo"),
        ("meta-llama/Llama-3.1-405B-Instruct-FP8", "nebius/meta-llama/Meta-Llama-3.1-405B-Instruct"),
    ],
    ids=["itself", "as it was called", "quantized"],
)
def test_the_same_weights_are_found(model: str, cheapest: str) -> None:
    """Three input tokens to one output token: $0.10 and $0.32, $0.02 and $0.04, $1 and $3. A base
    model, or one that reasons, is another one."""
    found = load_catalogue().same_weights(model)
    assert len(found) > 3
    assert min(found, key=lambda row: row.blended(Decimal("0.75"), Decimal(0))).key == cheapest
    for other in ("nobody/knows", "meta-llama/Llama-3.1-8B", "Qwen/Qwen3-Next-80B-A3B-Thinking"):
        assert load_catalogue().same_weights(other) == []


def test_a_machine_is_so_many_of_a_gpu() -> None:
    """As its name says; FLOPs and bandwidth by NVIDIA's data sheets."""
    machines = load_machines()
    assert {key.split("-")[0] for key in machines} == {"1x", "2x", "4x", "8x"}
    for key, machine in machines.items():
        count, gpu, _, memory = key.split("-")
        assert (key, f"{machine.gpus}x") == (machine.key, count)
        assert machine.gpu == f"{gpu.upper()} {memory[:2]} GB"
        assert int(memory[:2]) * Decimal("0.98") < machine.memory_gib < int(memory[:2])
    assert machines["8x-h100-sxm-80gb"].tflops == 989
    assert machines["1x-a100-sxm-80gb"].gigabytes_per_second == 2039
