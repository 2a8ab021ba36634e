"""What is served fits the machines' GPUs, or is refused with the nearest that fits; the examples fit."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml

from cost_guard.catalogue.catalogue import load_catalogue
from cost_guard.catalogue.machines import GpuMachine
from images.bundle import PromisedGpus
from stacks import planning
from stacks.checks import check_memory
from stacks.planning import Fit, fit, promised
from stacks.settings import SettingsError, parse
from tests.unit.cost_guard.catalogue.test_models import LLAMA
from tests.unit.stacks.test_settings import EXAMPLES, change

CONFIG = Path(__file__).resolve().parents[3] / "stacks" / "config"
SMALL = GpuMachine(
    key="2x-24gb", gpus=2, gpu="L4", memory_gib=Decimal("21.9"), tflops=Decimal(121), gigabytes_per_second=Decimal(300)
)
OWNED = {
    "id": "dgx-1",
    "address": "10.20.0.11",
    "sshUser": "ubuntu",
    "hostKey": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE2Z1Wb2GJCbvgdM3dFVgk0UsCMfJWSMkBYGDpLbPVxX",
    "region": "hall-1/rack-3",
    "sku": "dgx-a100-80gb",
    "gpus": 4,
    "gpuMemoryGib": 40,
    "purchaseUsd": 180_000,
    "months": 36,
    "watts": 4500,
    "usdPerKwh": "0.18",
}


def example(stack: str) -> dict[str, Any]:
    config = yaml.safe_load((CONFIG / f"Pulumi.{stack}.yaml").read_text())["config"]
    given = {key.removeprefix("crossover:"): copy.deepcopy(value) for key, value in config.items()}
    return {**given, "apiKeys": {"openai": "k", "hf": "k"}}


def told(changes: dict[str, Any], stack: str = "lambda", root: Path = CONFIG) -> Fit:
    values = example(stack)
    for key, value in changes.items():
        change(values, f"serving.{key}", value)
    return fit(parse(values, root).models[0])


def test_the_program_says_what_fits_and_ends_where_it_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(pulumi.log, "info", said.append)
    check_memory(parse(example("lambda")))
    assert any(line.startswith("memory at lambda/gpu_8x_a100_80gb_sxm4") for line in said)
    too_wide = parse(change(example("lambda"), "serving.tensorParallelSize", 16))
    with pytest.raises(pulumi.RunError, match=r"cannot be used:\n  crossover:serving.tensorParallelSize: 16, but"):
        check_memory(too_wide)


@pytest.mark.parametrize("stack", EXAMPLES)
def test_the_examples_fit_with_the_defaults_of_today(stack: str) -> None:
    found = fit(parse(example(stack)).models[0])
    assert found.refusals == ()
    if stack != "local":  # its engine has no memory
        assert any("16.4 GiB of weights and 52.3 GiB of cache each" in note for note in found.notes)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"tensorParallelSize": 16}, "serving.tensorParallelSize: 16, but lambda/gpu_8x_a100_80gb_sxm4 has 8 GPUs; the "
         "nearest that fits is 8"),
        ({"tensorParallelSize": 3}, "64 heads and 8 KV heads cannot be shared by 3 GPUs; the nearest that fits is 4"),
        ({"tensorParallelSize": 1}, "131.4 GiB of weights a GPU, and A100 80 GB at lambda/gpu_8x_a100_80gb_sxm4 has "
         "68.8 for them; the nearest that fits is 2"),
        ({"model": "meta-llama/Llama-3.1-405B-Instruct"}, "serving.model: meta-llama/Llama-3.1-405B-Instruct does not "
         "fit lambda/gpu_8x_a100_80gb_sxm4 at any size"),
        ({"model": "meta-llama/Llama-3.1-405B-Instruct"}, "or quantized weights (serving.quantization)"),
        ({"maxModelLen": 200_000}, "serving.maxModelLen: 200000, and meta-llama/Llama-3.3-70B-Instruct was made for "
         "131072 tokens; the nearest that fits is 131072"),
        ({"tensorParallelSize": 2, "maxModelLen": 131_072, "gpuMemoryUtilization": 0.9}, "serving.maxModelLen: 131072, "
         "and 1.5 GiB of cache a GPU (A100 80 GB at lambda/gpu_8x_a100_80gb_sxm4) hold 9710 tokens; the nearest "
         "that fits is 9472"),
    ],
)  # fmt: skip
def test_what_vllm_would_refuse_at_its_start_is_refused_here(changes: dict[str, Any], line: str) -> None:
    assert any(line in refusal for refusal in told(changes).refusals), told(changes).refusals


def test_what_is_proposed_is_taken() -> None:
    assert told({"tensorParallelSize": 4}).refusals == ()
    assert told({"tensorParallelSize": 2, "gpuMemoryUtilization": 0.9, "maxModelLen": 9472}).refusals == ()
    assert told({"model": "meta-llama/Llama-3.1-405B-Instruct", "quantization": "fp8"}).refusals == ()
    assert told({"maxModelLen": 131_072}).refusals == ()


def test_a_machine_that_holds_nothing_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    small = replace(load_catalogue(), machines={"8x-a100-sxm-80gb": SMALL})
    monkeypatch.setattr(planning, "load_catalogue", lambda: small)
    (line,) = told({"model": "openai/gpt-oss-120b", "tensorParallelSize": 2}).refusals
    assert "does not fit lambda/gpu_8x_a100_80gb_sxm4 at any size" in line
    assert line.endswith("take a machine with more memory")
    (short,) = told({"model": "openai/gpt-oss-20b", "tensorParallelSize": 1, "gpuMemoryUtilization": 0.77}).refusals
    assert "no length fits: take more GPUs or smaller weights" in short


def test_every_rung_is_looked_at() -> None:
    both = told({"model": "meta-llama/Llama-3.1-405B-Instruct"}, "mixed").refusals
    assert [sku in line for sku, line in zip(("lambda/gpu_8x", "runpod/8x"), both, strict=True)] == [True, True]


def test_requests_that_wait_are_told_and_no_error() -> None:
    found = told({})
    assert found.refusals == ()
    assert any("41 requests of 32768 at once, the rest of maxNumSeqs 128 waits" in note for note in found.notes)
    assert not any("waits" in note for note in told({"maxNumSeqs": 41}).notes)


def test_a_smaller_cache_holds_twice_as_many() -> None:
    assert any("83 requests of 32768" in note for note in told({"engineArgs": {"kv-cache-dtype": "fp8"}}).notes)


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"model": "acme/own-70b"}, "acme/own-70b is in no table; give its config.json"),
        ({"engineArgs": {"cpu-offload-gb": 10}}, "memory is not checked: engineArgs.cpu-offload-gb sets it"),
        ({"quantization": "torchao"}, "bytes the weights of meta-llama/Llama-3.3-70B-Instruct have is not known"),
        ({"toolCallParser": None}, "serving.toolCallParser is not set: requests with tools are refused; "
         "meta-llama/Llama-3.3-70B-Instruct needs llama3_json"),
        ({"model": "Qwen/Qwen3-32B"}, "serving.reasoningParser is not set: answers begin with the reasoning"),
    ],
)  # fmt: skip
def test_what_is_not_known_or_not_asked_for_is_told(changes: dict[str, Any], note: str) -> None:
    found = told(changes)
    assert found.refusals == ()
    assert any(note in one for one in found.notes), found.notes


def test_a_machine_of_which_nothing_is_known_is_told() -> None:
    values = example("lambda")
    values["fleet"]["nodes"]["a"]["candidates"][0]["sku"] = "gpu_16x_new"
    notes = fit(parse(values).models[0]).notes
    assert any(
        "memory is not checked at lambda/gpu_16x_new: no row of catalogue/data/prices.toml names its machine" in note
        for note in notes
    )


def test_machines_of_ones_own_have_what_their_list_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two alike by name: the smaller counts, and of its 40 GiB what CUDA reports of such a GPU."""
    listed = tmp_path / "existing.yaml"
    monkeypatch.setenv("CROSSOVER_EXISTING_MACHINES", str(listed))
    monkeypatch.setenv("CROSSOVER_EXISTING_STATE", str(tmp_path / "claims"))
    assert any("8 of 8 GPUs" in note for note in told({}, "existing").notes)
    other = {**OWNED, "id": "dgx-2", "address": "10.20.0.12", "gpus": 8, "gpuMemoryGib": 80}
    listed.write_text(yaml.safe_dump({"machines": [OWNED, other]}))
    (refused,) = told({}, "existing").refusals
    assert "does not fit existing/dgx-a100-80gb at any size: existing/dgx-a100-80gb has 4 GPUs" in refused
    (refused,) = told({"quantization": "fp8"}, "existing").refusals
    assert "tensorParallelSize: 8, but existing/dgx-a100-80gb has 4 GPUs; the nearest that fits is 4" in refused
    fits = told({"model": "meta-llama/Llama-3.1-8B-Instruct", "tensorParallelSize": 4}, "existing")
    cache_gib = Decimal(40) * Decimal("0.98") * Decimal("0.92") - 4 - Decimal(16_060_522_496) / 4 / 2**30
    assert any(f"4 of 4 GPUs: 3.7 GiB of weights and {cache_gib:.1f} GiB" in note for note in fits.notes)


def test_an_asked_for_parser_is_not_missed() -> None:
    assert not any("toolCallParser" in note for note in told({"toolCallParser": "llama3_json"}).notes)


def test_overrides_of_a_model_may_stretch_its_context() -> None:
    stretched = {"maxModelLen": 200_000, "engineArgs": {"hf-overrides": {"rope_scaling": {"rope_type": "yarn"}}}}
    assert told(stretched).refusals == ()


def test_a_config_stands_in_for_a_model_of_no_table(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    changes = {"model": "acme/own-70b", "modelConfig": "config.json"}
    assert any("16.4 GiB of weights" in note for note in told(changes, root=tmp_path).notes)
    (refused,) = told({**changes, "tensorParallelSize": 1}, root=tmp_path).refusals
    assert "131.4 GiB of weights" in refused


def test_a_config_whose_parameters_are_not_counted_is_told(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**LLAMA, "model_type": "new"}))
    changes = {"model": "acme/own-70b", "modelConfig": "config.json"}
    assert any("how many bytes the weights" in note for note in told(changes, root=tmp_path).notes)
    assert told({**changes, "tensorParallelSize": 3}, root=tmp_path).refusals


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "is no config.json that can be reckoned with: Expecting"),
        ("[]", "is no config.json that can be reckoned with: it is no map"),
        ("{}", "is no config.json that can be reckoned with: it has no whole number num_hidden_layers"),
        (json.dumps({**LLAMA, "intermediate_size": None}), "is no config.json that can be reckoned with"),
    ],
)
def test_a_config_that_says_too_little_is_refused(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(SettingsError, match=f"serving.modelConfig: 'config.json' {words}"):
        told({"modelConfig": "config.json"}, root=tmp_path)


def test_a_config_that_is_hidden_is_not_read(tmp_path: Path) -> None:
    (tmp_path / ".keys").mkdir()
    (tmp_path / ".keys/config.json").write_text(json.dumps(LLAMA))
    with pytest.raises(SettingsError, match=r"serving\.modelConfig: '\.keys/config\.json' is hidden, or in a hidden"):
        told({"modelConfig": ".keys/config.json"}, root=tmp_path)


def test_the_gateway_sends_a_node_no_more_than_it_takes() -> None:
    values = change(example("lambda"), "gateway.maxConnectionsPerNode", 300)
    with pytest.raises(SettingsError, match=r"gateway\.maxConnectionsPerNode: 300, .* nearest that fits is 256"):
        parse(values)
    assert parse(change(values, "serving.maxNumQueuedReqs", 300))


def test_what_a_node_was_rented_as_is_known_by_its_sku() -> None:
    model = parse(example("mixed")).models[0]
    sold = (PromisedGpus("A100 80GB", 8),)
    assert (promised(model, "environment"), promised(model, "image")) == (sold, sold)


def test_nothing_is_promised_where_the_table_lacks_a_sku() -> None:
    values = example("existing")
    values["fleet"]["nodes"]["a"]["candidates"][0]["sku"] = "a-rack-of-ours"
    assert promised(parse(values).models[0], "environment") == ()
