"""The bundle of a node."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from images.bundle import Source
from images.roles.inference.bundle import PORTS, SECRETS, InferenceSettings, flags, inference_bundle
from images.simulator import cli
from images.vehicles.ssh.layout.effects import effects
from images.vehicles.ssh.layout.plan import make_plan
from tests.unit.images.samples import PLACEMENT, SUPERVISOR

VLLM = InferenceSettings(model="meta-llama/Llama-3.1-70B-Instruct", served_names=("llama-70b", "llama"))
SIMULATOR = replace(VLLM, engine="simulator", simulation={"time-scale": "0.1", "decode-tokens-per-s": "500"})


def command(settings: InferenceSettings) -> tuple[str, ...]:
    return inference_bundle(settings, "PEM").services[0].command


def test_both_engines_take_the_same_flags_and_only_the_simulator_its_rates() -> None:
    shared = flags(VLLM)
    assert command(VLLM) == ("vllm", "serve", VLLM.model, *shared)
    simulated = command(SIMULATOR)
    assert simulated[:5] == ("@ENV:simulator@/bin/python", "-m", "simulator", "serve", VLLM.model)
    rates = ("--sim-decode-tokens-per-s", "500", "--sim-time-scale", "0.1")
    assert [w for w in simulated[5:] if w not in rates] == list(shared)
    assert set(rates) <= set(simulated)


@pytest.mark.parametrize("settings", [SIMULATOR, replace(SIMULATOR, max_num_seqs=4096)])
def test_the_simulator_understands_every_flag(settings: InferenceSettings) -> None:
    words = [w.replace("@PORT:vllm@", "8000").replace("@BIND@", "127.0.0.1") for w in command(settings)[3:]]
    parsed = cli.parse(words, {"VLLM_API_KEY": "key"})
    assert parsed.served_names == ("llama-70b", "llama")
    assert (parsed.max_num_seqs, parsed.max_model_len) == (settings.max_num_seqs, 32_768)
    assert (parsed.decode_tokens_per_s, parsed.shutdown_timeout_s) == (500, 30)
    assert parsed.tls is not None


@pytest.mark.parametrize("settings", [VLLM, SIMULATOR])
def test_keys_and_certificates_travel_as_secrets_and_never_in_the_bundle(settings: InferenceSettings) -> None:
    bundle = inference_bundle(settings, "PEM")
    assert bundle.secrets == SECRETS
    assert bundle.services[0].secret_environment == {"VLLM_API_KEY": "vllm-api-key"}
    words = bundle.services[0].command
    assert words[words.index("--ssl-keyfile") + 1] == "@SECRET:tls.key@"
    assert words[words.index("--ssl-certfile") + 1] == "@SECRET:tls.crt@"


def test_a_node_is_ready_only_after_a_token_was_made() -> None:
    health, completion = inference_bundle(VLLM, "PEM").checks
    assert (health.path, completion.path, completion.method) == ("/health", "/v1/completions", "POST")
    assert '"max_tokens": 1' in (completion.body or "")
    assert completion.bearer_secret == "vllm-api-key"
    assert health.tls_server_name == completion.tls_server_name == "@SERVER_NAME@"


def test_a_node_gets_longer_to_stop_than_its_requests_to_end() -> None:
    assert inference_bundle(replace(VLLM, shutdown_timeout_s=90), "PEM").services[0].stop_timeout_s > 90


def test_vllm_comes_from_locked_requirements_or_is_demanded_of_the_machine() -> None:
    assert inference_bundle(VLLM, "PEM").programs == ("nvidia-smi", "vllm")
    locked = inference_bundle(VLLM, "PEM", Source("requirements/vllm.txt", "requirements/vllm.txt", "a" * 64))
    assert locked.programs == ("nvidia-smi",)
    assert locked.services[0].command[0] == "@ENV:vllm@/bin/vllm"


@pytest.mark.parametrize("settings", [VLLM, SIMULATOR])
def test_the_bundle_fits_a_machine_and_a_new_ca_disturbs_nobody(settings: InferenceSettings) -> None:
    bundle = inference_bundle(settings, "PEM")
    placement = replace(PLACEMENT, ports=PORTS)
    assert make_plan(bundle, placement, lambda _: b"", SUPERVISOR).bundle.role == "inference"
    assert effects(bundle)["tls/ca.pem"] == {}
    assert all(effects(bundle)[f"secrets/{name}"] == {"vllm": "restart"} for name in SECRETS)


def test_the_simulators_program_is_all_of_its_folder() -> None:
    paths = {s.source for s in inference_bundle(SIMULATOR, "PEM").sources}
    assert "images/simulator/__main__.py" in paths
    assert len(paths) == len(list(Path(cli.__file__).parent.rglob("*.py")))


@pytest.mark.parametrize(
    "changes",
    [
        {"model": ""},
        {"served_names": ()},
        {"served_names": ("",)},
        {"engine": "llamacpp"},
        {"max_num_seqs": 0},
        {"max_num_queued_reqs": 0},
        {"shutdown_timeout_s": -1},
        {"simulation": {"time-scale": "1"}},
    ],
)
def test_settings_that_cannot_be_served_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        replace(VLLM, **changes)
