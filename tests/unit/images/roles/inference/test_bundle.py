"""The bundle of a node, with every engine."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from images.bundle import REFUSED, Bundle, RuntimeKind
from images.engines import simulator, vllm
from images.engines.common import registry
from images.engines.common.base import CLIENT_CERTIFICATE_SECRET, Engine, EngineOptions
from images.packages.programs import PROGRAMS
from images.roles.inference.bundle import SECRETS, inference_bundle, ports
from images.roles.inference.node.guard import KEY_VARIABLE, Guard
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
    health, completion, *_ = bundle(engine).checks
    assert (health.path, completion.path, completion.method) == (engine.health.path, engine.canary.path, "POST")
    assert health.deadline_s == engine.health.deadline_s
    assert '"max_tokens": 1' in (completion.body or "")
    assert completion.bearer_secret == "vllm-api-key"
    assert health.tls_server_name == completion.tls_server_name == "@SERVER_NAME@"


@ENGINES
def test_a_node_gets_longer_to_stop_than_its_requests_to_end(engine: Engine) -> None:
    assert bundle(engine, replace(OPTIONS, shutdown_timeout_s=90)).services[0].stop_timeout_s > 90


@ENGINES
def test_the_bundle_fits_a_machine_and_what_it_serves_by_restarts_it(engine: Engine) -> None:
    made = bundle(engine)
    host = replace(PLACEMENT, ports=ports(engine))
    assert make_layout(made, host, lambda _: b"", SUPERVISOR).bundle.role == "inference"
    restarted = {"tls/ca.pem", *(f"secrets/{name}" for name in SECRETS), "lib/crossover_node/guard.py"}
    shown = f"secrets/{CLIENT_CERTIFICATE_SECRET}"  # by its own checks alone
    assert effects(made)[shown] == {}
    assert all(effects(made)[path] == {"vllm": "restart"} for path in restarted - {shown})


@ENGINES
def test_a_node_asks_for_the_stacks_client_certificate_and_proves_that_it_is_closed(engine: Engine) -> None:
    made = bundle(engine)
    words = made.services[0].command
    assert words[words.index("--ssl-ca-certs") + 1] == "@ROOT@/tls/ca.pem"
    assert words[words.index("--ssl-cert-reqs") + 1] == "2"  # ssl.CERT_REQUIRED
    assert made.clients_show == CLIENT_CERTIFICATE_SECRET
    *known, stranger = made.checks
    assert {check.client_certificate for check in known} == {CLIENT_CERTIFICATE_SECRET}
    assert (stranger.client_certificate, stranger.expect_status) == (None, REFUSED)
    keyless = {path: c.expect_status for c in known if not c.bearer_secret for path in (c.path, *c.more_paths)}
    # gpu-node.md 0.1: what vLLM 0.32 answered without its key.
    open_in_vllm = ("/invocations", "/tokenize", "/load", "/version", "/openapi.json")
    assert keyless == {"/health": 200, "/v1/models": 401, **dict.fromkeys(open_in_vllm, 404)}


def test_the_guard_stands_before_every_route_of_vllm() -> None:
    made = bundle(vllm.ENGINE)
    service, paths = made.services[0], {source.path for source in made.sources}
    assert service.command[service.command.index("--middleware") + 1] == f"{Guard.__module__}.Guard".replace(
        "images.roles.inference.node", "crossover_node"
    )
    assert service.environment["PYTHONPATH"] == "@ROOT@/lib"
    assert {"lib/crossover_node/__init__.py", "lib/crossover_node/guard.py"} <= paths
    assert set(service.secret_environment) == {KEY_VARIABLE}


def test_both_engines_take_the_same_words_and_only_the_simulator_its_rates() -> None:
    shared = bundle(vllm.ENGINE).services[0].command[1:]
    assert bundle(vllm.ENGINE).services[0].command[0] == "vllm"
    simulated = bundle(simulator.ENGINE, RATES).services[0].command
    assert simulated[:5] == ("@ENV:simulator@/bin/python", "-m", "simulator", "serve", OPTIONS.model)
    rates = ("--sim-decode-tokens-per-s", "500", "--sim-teardown-s", "0.5", "--sim-time-scale", "0.1")
    assert [w for w in simulated[3:] if w not in rates] == list(shared)
    assert set(rates) <= set(simulated)
    with pytest.raises(ValueError, match="vllm takes none"):
        bundle(vllm.ENGINE, RATES)


CHOSEN = replace(
    RATES,
    dtype="bfloat16",
    quantization="fp8",
    tool_call_parser="llama3_json",
    reasoning_parser="qwen3",
    gpu_memory_utilization=Decimal("0.9"),
    arguments={"kv-cache-dtype": "fp8", "async-scheduling": False, "compilation-config": {"mode": 3}},
)


@pytest.mark.parametrize("options", [RATES, replace(RATES, max_num_seqs=4096), CHOSEN])
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
    assert (made.programs, made.environments) == ((), ())
    assert made.services[0].command[0] == "vllm"


def test_vllm_comes_in_an_environment_from_the_lock_with_uv_to_install_it() -> None:
    made = inference_bundle(vllm.ENGINE, OPTIONS, "PEM", "environment")
    [environment] = made.environments
    assert environment.requirements.source == "requirements/vllm.txt"
    assert environment.installer is not None
    assert environment.installer.source == "requirements/uv.txt"
    assert made.services[0].command[0] == "@ENV:vllm@/bin/vllm"


def test_an_environment_brings_what_its_kernels_are_compiled_with() -> None:
    """Triton: "Failed to find C compiler" without; an image has both."""
    assert inference_bundle(vllm.ENGINE, OPTIONS, "PEM", "environment").programs == ("gcc", "python3-config")
    assert PROGRAMS["python3-config"].package == "python3-dev"


@ENGINES
@pytest.mark.parametrize("kind", KINDS)
def test_a_program_that_a_node_needs_has_a_package(engine: Engine, kind: RuntimeKind) -> None:
    """Else the install refuses the machine after it was rented."""
    assert set(inference_bundle(engine, OPTIONS, "PEM", kind).programs) <= set(PROGRAMS)


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
    paths = {s.source for s in bundle(simulator.ENGINE).sources if s.path.startswith("lib/simulator")}
    assert "images/simulator/__main__.py" in paths
    assert len(paths) == len(list(Path(cli.__file__).parent.rglob("*.py")))
