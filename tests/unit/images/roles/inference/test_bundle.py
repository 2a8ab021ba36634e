"""The bundle of a node, with every engine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from images.bundle import Bundle, RuntimeKind
from images.engines import registry, simulator, vllm
from images.engines.base import Engine, EngineOptions
from images.roles.inference.bundle import SECRETS, inference_bundle, ports
from images.simulator import cli
from images.vehicles.ssh.layout.effects import effects
from images.vehicles.ssh.layout.layout import make_layout
from tests.unit.images.samples import PLACEMENT, SUPERVISOR

OPTIONS = EngineOptions(model="meta-llama/Llama-3.1-70B-Instruct", served_names=("llama-70b", "llama"))
RATES = replace(OPTIONS, simulation={"time-scale": "0.1", "decode-tokens-per-s": "500"})
KINDS: tuple[RuntimeKind, ...] = ("environment", "image", "machine")
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


@pytest.mark.parametrize("kind", ["machine", "image"])
def test_vllm_is_demanded_of_a_machine_or_an_image(kind: RuntimeKind) -> None:
    made = inference_bundle(vllm.ENGINE, OPTIONS, "PEM", kind)
    assert made.environments == ()
    assert made.services[0].command[0] == "vllm"


def test_vllm_comes_in_an_environment_from_the_lock_with_uv_to_install_it() -> None:
    made = inference_bundle(vllm.ENGINE, OPTIONS, "PEM", "environment")
    [environment] = made.environments
    assert environment.requirements.source == "requirements/vllm.txt"
    assert environment.installer is not None
    assert environment.installer.source == "requirements/uv.txt"
    assert (made.programs, made.services[0].command[0]) == (("nvidia-smi",), "@ENV:vllm@/bin/vllm")


def test_a_runtime_says_which_versions_will_do_and_a_container_how_much_memory_its_gpus_share() -> None:
    """NCCL's guide asks for --shm-size=1g; one GPU shares nothing, and a VM's /dev/shm is half of its memory."""
    of = {kind: inference_bundle(vllm.ENGINE, OPTIONS, "PEM", kind).runtime for kind in KINDS}
    assert {(r.distribution, r.least, r.usual) for r in of.values() if r} == {("vllm", "0.29.0", "0.32.0")}
    assert {kind: r.shared_memory_bytes for kind, r in of.items() if r} == {
        "environment": 0, "image": 1 << 30, "machine": 0,
    }  # fmt: skip
    alone = inference_bundle(vllm.ENGINE, replace(OPTIONS, tensor_parallel_size=1), "PEM", "image").runtime
    assert alone is not None
    assert alone.shared_memory_bytes == 0


def test_the_simulator_comes_the_same_way_everywhere() -> None:
    assert len({inference_bundle(simulator.ENGINE, OPTIONS, "PEM", kind).digest for kind in KINDS}) == 1
    assert inference_bundle(simulator.ENGINE, OPTIONS, "PEM").runtime is None


def test_the_simulators_program_is_all_of_its_folder() -> None:
    paths = {s.source for s in bundle(simulator.ENGINE).sources}
    assert "images/simulator/__main__.py" in paths
    assert len(paths) == len(list(Path(cli.__file__).parent.rglob("*.py")))
