"""Memory: figures of published models, and what must hold of any."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_guard.arithmetic.memory import (
    BATCHED_TOKENS,
    GIB,
    RESERVE_BYTES,
    UTILISATION,
    MachineGpus,
    ServingSizes,
    divides,
    footing,
    kv_bytes_per_token,
    request_bytes,
    weight_bytes,
)
from cost_guard.catalogue.models import Shape, load_models

A100 = MachineGpus(8, "A100 80 GB", Decimal("79.1"))
EIGHT, ONE = ServingSizes(8, 32_768), ServingSizes(1, 32_768)
KNOWN = {name: row.shape for name, row in load_models().items()}
LLAMA = KNOWN["meta-llama/Llama-3.1-70B-Instruct"]

MODELS = pytest.mark.parametrize("model", sorted(KNOWN))
SHAPES = st.builds(
    Shape,
    parameters=st.integers(10**9, 10**12),
    layers=st.just(128),
    full_layers=st.integers(1, 128),
    heads=st.sampled_from([16, 32, 64, 128]),
    kv_heads=st.sampled_from([1, 2, 4, 8]),
    head_size=st.sampled_from([64, 128, 256]),
    hidden=st.sampled_from([2048, 8192]),
    vocabulary=st.just(128_256),
    context=st.just(131_072),
)


def test_a_cache_has_two_vectors_a_layer_and_kv_head() -> None:
    """Llama 3.1 70B: 2 × 80 layers × 8 KV heads × 128 × 2 bytes = 327,680 bytes a token, an eighth of it on each of
    eight GPUs."""
    assert kv_bytes_per_token(LLAMA, ONE) == 327_680
    assert kv_bytes_per_token(LLAMA, EIGHT) == 40_960
    assert kv_bytes_per_token(LLAMA, replace(EIGHT, kv_type_bytes=1)) == 20_480


@pytest.mark.parametrize(
    ("model", "size"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", 16_060_522_496),
        ("meta-llama/Llama-3.3-70B-Instruct", 141_107_412_992),
        ("Qwen/Qwen3-Coder-30B-A3B-Instruct", 61_064_245_248),
        ("openai/gpt-oss-120b", 65_248_815_744),
    ],
)
def test_weights_are_the_bytes_of_the_published_files(model: str, size: int) -> None:
    assert weight_bytes(KNOWN[model], EIGHT) == size


def test_quantized_weights_keep_embeddings_of_16_bits() -> None:
    embeddings = 2 * 8192 * 128_256
    expected = (70_553_706_496 - embeddings) + 2 * embeddings
    assert weight_bytes(LLAMA, replace(EIGHT, quantization="fp8")) == expected
    assert weight_bytes(LLAMA, replace(EIGHT, quantization="torchao")) is None
    assert weight_bytes(LLAMA, replace(EIGHT, weight_type_bytes=4)) == 4 * 70_553_706_496


def test_the_examples_node_is_what_the_formula_says() -> None:
    weights = -(-141_107_412_992 // 8)
    left = int(Decimal("79.1") * Decimal("0.92") * GIB) - 4 * GIB - weights
    found = footing(LLAMA, EIGHT, A100)
    assert found is not None
    assert (Decimal("0.92"), 4 * GIB) == (UTILISATION, RESERVE_BYTES)
    assert (found.weight_bytes, found.kv_bytes) == (weights, left)
    assert (found.kv_tokens, found.sequences) == (left // 40_960, left // (40_960 * 32_768))


def test_a_window_holds_so_many_tokens_and_a_state_none() -> None:
    """gpt-oss-120b: 18 of 36 layers hold the last 128 tokens, and those of the step; Qwen3-Next: 12 of 48 layers have a
    cache."""
    oss, following = KNOWN["openai/gpt-oss-120b"], KNOWN["Qwen/Qwen3-Next-80B-A3B-Instruct"]
    assert kv_bytes_per_token(oss, ONE) == 2 * 18 * 8 * 64 * 2
    longer = request_bytes(oss, ONE, 100_000) - request_bytes(oss, ONE, 50_000)
    assert longer == 50_000 * kv_bytes_per_token(oss, ONE)
    assert request_bytes(oss, ONE, 100) == 100 * 2 * 36 * 8 * 64 * 2
    held = request_bytes(oss, ONE, 50_000) - 50_000 * kv_bytes_per_token(oss, ONE)
    assert held == (128 + BATCHED_TOKENS) * 2 * 18 * 8 * 64 * 2
    state = 36 * (4 * 32 * 128 * 128 + 2 * 3 * (2 * 16 + 32) * 128)
    assert request_bytes(following, ONE, 0) == following.state_bytes == state
    assert request_bytes(following, EIGHT, 0) == state // 8


@pytest.mark.parametrize(
    ("heads", "kv_heads", "size", "can"),
    [(64, 8, 8, True), (64, 8, 3, False), (64, 8, 16, True), (16, 2, 8, True), (96, 8, 12, False), (96, 8, 32, True)],
)
def test_heads_are_split_evenly_and_kv_heads_split_or_repeated(heads: int, kv_heads: int, size: int, can: bool) -> None:
    assert divides(replace(LLAMA, heads=heads, kv_heads=kv_heads), size) is can


def test_kv_heads_are_repeated_where_gpus_are_more() -> None:
    two = replace(LLAMA, kv_heads=2)
    assert kv_bytes_per_token(two, EIGHT) == kv_bytes_per_token(two, replace(EIGHT, tensor_parallel_size=2))


def test_nothing_is_said_of_weights_that_are_not_known() -> None:
    assert footing(replace(LLAMA, parameters=None), EIGHT, A100) is None


@settings(deadline=None, max_examples=50)
@given(SHAPES, st.sampled_from([1, 2, 4, 8]), st.integers(256, 131_072))
def test_more_gpus_hold_less_each_and_more_requests(shape: Shape, size: int, length: int) -> None:
    few, many = ServingSizes(size, length), ServingSizes(size * 2, length)
    here, there = footing(shape, few, A100), footing(shape, many, A100)
    assert here is not None
    assert there is not None
    assert there.weight_bytes <= here.weight_bytes
    assert there.kv_bytes >= here.kv_bytes
    assert there.kv_tokens >= here.kv_tokens
    assert there.sequences >= here.sequences


@settings(deadline=None, max_examples=50)
@given(SHAPES, st.sampled_from([1, 2, 4, 8]), st.integers(256, 65_536))
def test_shorter_requests_and_smaller_types_never_need_more(shape: Shape, size: int, length: int) -> None:
    wide = footing(shape, ServingSizes(size, length), A100)
    for narrow in (
        ServingSizes(size, length // 2),
        ServingSizes(size, length, kv_type_bytes=1),
        ServingSizes(size, length, quantization="fp8"),
        ServingSizes(size, length, quantization="awq"),
    ):
        found = footing(shape, narrow, A100)
        assert found is not None
        assert wide is not None
        assert found.sequences >= wide.sequences
        assert found.weight_bytes <= wide.weight_bytes


@settings(deadline=None, max_examples=50)
@given(SHAPES, st.sampled_from([1, 2, 4, 8]))
def test_the_longest_request_is_the_longest_that_fits(shape: Shape, size: int) -> None:
    found = footing(shape, ServingSizes(size, 32_768), A100)
    assert found is not None
    if found.kv_tokens:
        assert request_bytes(shape, ServingSizes(size, 32_768), found.kv_tokens) <= found.kv_bytes
        assert request_bytes(shape, ServingSizes(size, 32_768), found.kv_tokens + 1) > found.kv_bytes


@MODELS
def test_every_known_model_can_be_shared_by_eight(model: str) -> None:
    assert divides(KNOWN[model], 8)


def test_a_machine_says_what_its_gpus_hold() -> None:
    machine = MachineGpus(1, "L4", Decimal(20))
    found = footing(LLAMA, ONE, machine)
    assert found is not None
    assert (found.kv_bytes < 0, found.kv_tokens, found.sequences) == (True, 0, 0)
