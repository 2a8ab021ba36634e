"""The bundle of a node, with every engine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from images.bundle import Bundle, Source
from images.engines import registry, simulator, vllm
from images.engines.base import Engine, EngineOptions
from images.roles.inference.bundle import SECRETS, inference_bundle, ports
from images.simulator import cli
from images.vehicles.ssh.layout.effects import effects
from images.vehicles.ssh.layout.layout import make_layout
from tests.unit.images.samples import PLACEMENT, SUPERVISOR

OPTIONS = EngineOptions(model="meta-llama/Llama-3.1-70B-Instruct", served_names=("llama-70b", "llama"))
RATES = replace(OPTIONS, simulation={"time-scale": "0.1", "decode-tokens-per-s": "500"})
ENGINES = pytest.mark.parametrize("engine", registry.known().values(), ids=lambda engine: engine.name)


def bundle(engine: Engine, options: EngineOptions = OPTIONS) -> Bundle:
    return inference_bundle(engine, options, "PEM")


@ENGINES
def test_keys_and_certificates_travel_as_secrets_and_never_in_the_bundle(engine: Engine) -> None:
    made = bundle(engine)
    assert made.secrets == SECRETS
    assert made.services[0].secret_environment == {engine.key_variable: "vllm-api-key"}
    words = made.services[0].command
    assert {"@SECRET:tls.key@", "@SECRET:tls.crt@"} <= set(words)


@ENGINES
def test_a_node_is_ready_only_after_a_token_was_made(engine: Engine) -> None:
    health, completion = bundle(engine).checks
    assert (health.path, completion.path, completion.method) == (engine.health.path, engine.canary.path, "POST")
    assert health.deadline_s == engine.health.deadline_s
    assert '"max_tokens": 1' in (completion.body or "")
    assert completion.bearer_secret == "vllm-api-key"
    assert health.tls_server_name == completion.tls_server_name == "@SERVER_NAME@"


@ENGINES
def test_a_node_gets_longer_to_stop_than_its_requests_to_end(engine: Engine) -> None:
    assert bundle(engine, replace(OPTIONS, shutdown_timeout_s=90)).services[0].stop_timeout_s > 90


@ENGINES
def test_the_bundle_fits_a_machine_and_a_new_ca_disturbs_nobody(engine: Engine) -> None:
    made = bundle(engine)
    host = replace(PLACEMENT, ports=ports(engine))
    assert make_layout(made, host, lambda _: b"", SUPERVISOR).bundle.role == "inference"
    assert effects(made)["tls/ca.pem"] == {}
    assert all(effects(made)[f"secrets/{name}"] == {"vllm": "restart"} for name in SECRETS)


def test_both_engines_take_the_same_words_and_only_the_simulator_its_rates() -> None:
    shared = vllm.command(OPTIONS)
    assert bundle(vllm.ENGINE).services[0].command == ("vllm", *shared)
    simulated = bundle(simulator.ENGINE, RATES).services[0].command
    assert simulated[:5] == ("@ENV:simulator@/bin/python", "-m", "simulator", "serve", OPTIONS.model)
    rates = ("--sim-decode-tokens-per-s", "500", "--sim-time-scale", "0.1")
    assert [w for w in simulated[3:] if w not in rates] == list(shared)
    assert set(rates) <= set(simulated)
    with pytest.raises(ValueError, match="vllm takes none"):
        bundle(vllm.ENGINE, RATES)


@pytest.mark.parametrize("options", [RATES, replace(RATES, max_num_seqs=4096)])
def test_the_simulator_understands_every_flag(options: EngineOptions) -> None:
    words = [w.replace("@PORT:vllm@", "8000").replace("@BIND@", "127.0.0.1") for w in simulator.command(options)]
    parsed = cli.parse(words, {"VLLM_API_KEY": "key"})
    assert parsed.served_names == ("llama-70b", "llama")
    assert (parsed.max_num_seqs, parsed.max_model_len) == (options.max_num_seqs, 32_768)
    assert (parsed.decode_tokens_per_s, parsed.shutdown_timeout_s) == (500, 30)
    assert parsed.tls is not None


def test_vllm_comes_from_locked_requirements_or_is_demanded_of_the_machine() -> None:
    assert bundle(vllm.ENGINE).programs == ("nvidia-smi", "vllm")
    requirements = Source("requirements/vllm.txt", "requirements/vllm.txt", "a" * 64)
    locked = inference_bundle(vllm.ENGINE, OPTIONS, "PEM", requirements)
    assert locked.programs == ("nvidia-smi",)
    assert locked.services[0].command[0] == "@ENV:vllm@/bin/vllm"


def test_the_simulators_program_is_all_of_its_folder() -> None:
    paths = {s.source for s in bundle(simulator.ENGINE).sources}
    assert "images/simulator/__main__.py" in paths
    assert len(paths) == len(list(Path(cli.__file__).parent.rglob("*.py")))
