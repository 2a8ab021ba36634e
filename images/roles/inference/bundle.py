"""The bundle of a node: vLLM over TLS, or its simulator where there is no GPU. Both take the same flags."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from images.bundle import Bundle, File, HttpCheck, PythonEnvironment, Service, Source
from images.sources import repository_source, repository_sources

PORTS = {"vllm": 8000}
"""Port names of the bundle → where they are on a machine that has its network to itself."""
CA_PATH = "tls/ca.pem"
CERTIFICATE_SECRET = "tls.crt"
KEY_SECRET = "tls.key"
API_KEY_SECRET = "vllm-api-key"
SECRETS = (CERTIFICATE_SECRET, KEY_SECRET, API_KEY_SECRET)
"""A node's certificate is its own: it travels with the secrets, so that one bundle serves all nodes."""

_BATCHED_TOKENS = 2048
"""vLLM's default of --max-num-batched-tokens; it refuses a smaller one than --max-num-seqs."""
_STOP_SLACK_S = 10
_LOAD_DEADLINE_S = {"vllm": 1500, "simulator": 120}
"""A 70B model is 131 GiB of weights; from a network disk at 200 MB/s that alone is 12 minutes."""


@dataclass(frozen=True, slots=True)
class InferenceSettings:
    """What a node serves, in vLLM's own words."""

    model: str
    """Hugging Face name or a path on the node."""
    served_names: tuple[str, ...]
    """What clients ask for, at least one."""
    engine: Literal["vllm", "simulator"] = "vllm"
    max_model_len: int = 32_768
    """Tokens, prompt and answer together."""
    max_num_seqs: int = 128
    """Requests batched at a time."""
    max_num_queued_reqs: int = 256
    """Requests in flight, running ones included, beyond which the node answers 503."""
    tensor_parallel_size: int = 8
    shutdown_timeout_s: int = 30
    """How long requests in flight may still run once the node is to stop. vLLM's own default aborts them."""
    simulation: Mapping[str, str] = field(default_factory=dict)
    """The simulator's rates by flag, without `--sim-`: {"decode-tokens-per-s": "2000"}. vLLM gets none of them."""

    def __post_init__(self) -> None:
        if not self.model or not self.served_names or not all(self.served_names):
            raise ValueError("a node needs a model and at least one name to serve it under")
        if self.engine not in _LOAD_DEADLINE_S:
            raise ValueError(f"engine {self.engine!r} is unknown: vllm or simulator")
        if self.simulation and self.engine != "simulator":
            raise ValueError("simulation rates are the simulator's: vLLM takes none")
        numbers = (self.max_model_len, self.max_num_seqs, self.max_num_queued_reqs, self.tensor_parallel_size)
        if min(numbers) < 1 or self.shutdown_timeout_s < 0:
            raise ValueError("lengths, counts and sizes are at least 1, and a time-out is not negative")


def inference_bundle(settings: InferenceSettings, ca_certificate: str, requirements: Source | None = None) -> Bundle:
    """Everything on a node; the same for all nodes of a fleet.

    `ca_certificate` is the private CA's, PEM: the node checks itself by it, under the placement's `server_name`.
    vLLM comes from `requirements` (hash-locked) as an environment of its own; without them the machine must have it
    on its PATH, as the images vllm/vllm-openai do. Needs the secrets SECRETS and the port `vllm`.
    """
    simulated = settings.engine == "simulator"
    program, environments = _program(settings, requirements)
    return Bundle(
        role="inference",
        files=(File(CA_PATH, ca_certificate),),
        sources=repository_sources("lib/simulator", "images/simulator") if simulated else (),
        environments=environments,
        services=(
            Service(
                name="vllm",
                command=(*program, "serve", settings.model, *flags(settings)),
                environment=_environment(simulated),
                secret_environment={"VLLM_API_KEY": API_KEY_SECRET},
                stop_timeout_s=settings.shutdown_timeout_s + _STOP_SLACK_S,
            ),
        ),
        checks=_checks(settings),
        secrets=SECRETS,
        programs=() if simulated else ("nvidia-smi", *(() if requirements else ("vllm",))),
        directories=() if simulated else ("models",),
    )


def flags(settings: InferenceSettings) -> tuple[str, ...]:
    """The arguments after `serve MODEL`, tokens allowed."""
    flags = {
        "--host": "@BIND@",
        "--port": "@PORT:vllm@",
        "--ssl-certfile": f"@SECRET:{CERTIFICATE_SECRET}@",
        "--ssl-keyfile": f"@SECRET:{KEY_SECRET}@",
        "--max-model-len": str(settings.max_model_len),
        "--max-num-seqs": str(settings.max_num_seqs),
        "--max-num-queued-reqs": str(settings.max_num_queued_reqs),
        "--tensor-parallel-size": str(settings.tensor_parallel_size),
        "--shutdown-timeout": str(settings.shutdown_timeout_s),
    }
    if settings.max_num_seqs > _BATCHED_TOKENS:
        flags["--max-num-batched-tokens"] = str(settings.max_num_seqs)
    if settings.engine == "simulator":
        flags |= {f"--sim-{name}": value for name, value in sorted(settings.simulation.items())}
    words = [word for flag in flags.items() for word in flag]
    return (*words, "--enable-prefix-caching", "--served-model-name", *settings.served_names)


def _program(
    settings: InferenceSettings, requirements: Source | None
) -> tuple[tuple[str, ...], tuple[PythonEnvironment, ...]]:
    if settings.engine == "simulator":
        locked = requirements or repository_source("requirements/simulator.txt", "requirements/simulator.txt")
        return ("@ENV:simulator@/bin/python", "-m", "simulator"), (PythonEnvironment("simulator", locked),)
    if requirements is not None:
        return ("@ENV:vllm@/bin/vllm",), (PythonEnvironment("vllm", requirements),)
    return ("vllm",), ()


def _environment(simulated: bool) -> dict[str, str]:
    if simulated:
        return {"PYTHONPATH": "@ROOT@/lib"}
    return {"HF_HOME": "@ROOT@/models", "VLLM_NO_USAGE_STATS": "1"}


def _checks(settings: InferenceSettings) -> tuple[HttpCheck, ...]:
    """/health is 200 while the engine hangs (facts of vLLM 0.32), so a node is ready once it has made a token."""
    one_token = {"model": settings.served_names[0], "prompt": "ready?", "max_tokens": 1, "temperature": 0}
    tls_ca, name = f"@ROOT@/{CA_PATH}", "@SERVER_NAME@"
    deadline_s = _LOAD_DEADLINE_S[settings.engine]
    return (
        HttpCheck("vllm", "vllm", "/health", tls_ca=tls_ca, tls_server_name=name, deadline_s=deadline_s),
        HttpCheck(
            "one-token completion",
            "vllm",
            "/v1/completions",
            method="POST",
            body=json.dumps(one_token),
            bearer_secret=API_KEY_SECRET,
            tls_ca=tls_ca,
            tls_server_name=name,
            deadline_s=120,
        ),
    )
