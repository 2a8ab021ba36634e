"""The bundle of a node: an engine that serves over TLS, and what it needs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from images.bundle import (
    KNOWN_ANSWER,
    KNOWN_PROMPT,
    REFUSED,
    Bundle,
    File,
    GpuDemand,
    HttpCheck,
    PromisedGpus,
    Runtime,
    RuntimeKind,
    Service,
    Source,
    Trial,
    Weights,
)
from images.engines.common.base import (
    API_KEY_SECRET,
    CERTIFICATE_SECRET,
    CLIENT_CERTIFICATE_SECRET,
    FORMER_KEY_SECRET,
    GPUS,
    PRIVATE_KEY_SECRET,
    RATES,
    SERVICE,
    Engine,
    EngineNeeds,
    EngineOptions,
)
from images.gpu import matrix
from images.sources import repository_sources

CA_PATH = "tls/ca.pem"
SECRETS = (CERTIFICATE_SECRET, PRIVATE_KEY_SECRET, API_KEY_SECRET, CLIENT_CERTIFICATE_SECRET)
"""A node's certificate is its own: it travels with the secrets, so that one bundle serves all nodes. The client's is
for its checks."""
GUARD = "crossover_node.guard.Guard"
"""The layer of ours around the engine's routes."""
FORMER_KEY_VARIABLE = "CROSSOVER_FORMER_KEY"
"""What the guard reads it from (images/roles/inference/node/guard.py)."""
LIBRARY = "lib"
"""Of Python packages, below the root."""
CLOSED_PATHS = ("/invocations", "/tokenize", "/load", "/version", "/openapi.json")
"""What vLLM answers without its key, the first with a completion (0.32)."""

LEAST_SHARED_MEMORY_BYTES = 1 << 30
"""NVIDIA's guide to NCCL and its containers ask docker for --shm-size=1g; docker's own default, 64 MiB, ends in
"ncclShmOpen … failed" (vllm-project/vllm#1710)."""
WEIGHTS_FOLDER = "models"
"""The data folder of weights, where no volume is mounted for them (`Host.weights`)."""
_OFFLINE = {"HF_HUB_OFFLINE": "1", "VLLM_CACHE_ROOT": "@WEIGHTS@/cache/vllm"}
"""Of an engine whose weights are there: it asks no hub, and keeps what it compiles beside them."""

LOAD_REQUESTS, LOAD_INPUT_TOKENS, LOAD_OUTPUT_TOKENS = 32, 1024, 256
"""At a time, and of one of them, where the options allow so many."""

_CANARY_DEADLINE_S = 120
_CLOSED_DEADLINE_S = 10
"""For one answer of a server that has just answered."""


@dataclass(frozen=True, slots=True)
class TrialOptions:
    """What a node is asked before it is accepted, and for how long it is loaded; 0 s: not at all."""

    prompt: str = KNOWN_PROMPT
    expect: str = KNOWN_ANSWER
    load_s: int = 60
    all_reduce_gb_per_s: float | None = None
    """As `GpuDemand.least_gb_per_s`."""


def ports(engine: Engine) -> dict[str, int]:
    """Port names of the bundle → where they are on a machine that has its network to itself."""
    return {SERVICE: engine.port}


def inference_bundle(
    engine: Engine,
    options: EngineOptions,
    ca_certificate: str,
    runtime: RuntimeKind = "machine",
    weights: Weights | None = None,
    gpus: bool = True,
    trial: TrialOptions | None = None,
    promised: Sequence[PromisedGpus] = (),
    takes_former_key: bool = False,
) -> Bundle:
    """Everything on a node; the same for all nodes of a fleet that get the engine's program the same way, `runtime`.

    `ca_certificate` is the private CA's, PEM, or those of two generations: the node asks its clients for a certificate
    of one, and checks itself by them, under the host's `server_name`. With `takes_former_key` it needs
    FORMER_KEY_SECRET too. `weights` are brought before the engine starts, which then asks nobody for
    them; without, it gets the model's name. `gpus` says whether an engine that runs on them may ask for them: on this
    computer it is on its own. A `trial` is made where there are GPUs, and they must be one of `promised`. Needs the
    secrets SECRETS, that of the weights, and the ports of `ports`. Raises ValueError for rates that the engine does not
    take.
    """
    if options.simulation and RATES not in engine.capabilities:
        raise ValueError(f"simulation rates are the simulator's: {engine.name} takes none")
    needs = engine.needs(runtime)
    former = {FORMER_KEY_VARIABLE: FORMER_KEY_SECRET} if takes_former_key else {}
    asks = gpus and GPUS in engine.capabilities
    if weights is not None:
        needs, options = _beside(needs), replace(options, model=weights.folder)
    return Bundle(
        role="inference",
        files=(File(CA_PATH, ca_certificate),),
        sources=(*needs.sources, *_guard(), *([] if options.chat_template is None else [options.chat_template])),
        environments=needs.environments,
        services=(_service(engine, needs, options, former),),
        checks=_checks(engine, options.served_names[0]),
        secrets=(*SECRETS, *former.values(), *([weights.secret] if weights and weights.secret else [])),
        programs=needs.programs,
        directories=needs.directories,
        gpu=_gpus(runtime, options, trial, promised) if asks else None,
        weights=weights,
        clients_show=CLIENT_CERTIFICATE_SECRET,
        runtime=None if needs.runtime is None else _judged(needs.runtime, options),
        trial=trial_of(options, trial) if asks and trial is not None else None,
    )


def _gpus(
    runtime: RuntimeKind, options: EngineOptions, trial: TrialOptions | None, promised: Sequence[PromisedGpus]
) -> GpuDemand:
    floor = None if trial is None else trial.all_reduce_gb_per_s
    demand = matrix.demand(runtime, options.tensor_parallel_size)
    return replace(demand, least_gb_per_s=floor, promised=tuple(promised))


def trial_of(options: EngineOptions, asked: TrialOptions) -> Trial:
    """A trial of what those options serve, with a load that fits them."""
    length = options.max_model_len
    return Trial(
        model=options.served_names[0],
        port=SERVICE,
        bearer_secret=API_KEY_SECRET,
        client_certificate=CLIENT_CERTIFICATE_SECRET,
        tls_ca=f"@ROOT@/{CA_PATH}",
        prompt=asked.prompt,
        expect=asked.expect,
        load_s=asked.load_s,
        concurrency=min(LOAD_REQUESTS, options.max_num_seqs, options.max_num_queued_reqs),
        input_tokens=max(1, min(LOAD_INPUT_TOKENS, length // 2)),
        output_tokens=max(1, min(LOAD_OUTPUT_TOKENS, length // 4)),
    )


def _service(engine: Engine, needs: EngineNeeds, options: EngineOptions, former: Mapping[str, str]) -> Service:
    return Service(
        name=SERVICE,
        command=(*needs.program, *engine.command(_closed(options))),
        environment={**options.environment, **needs.variables, "PYTHONPATH": f"@ROOT@/{LIBRARY}"},
        secret_environment={engine.key_variable: API_KEY_SECRET, **former},
        # vLLM's own time-out is for both, but it has been seen to take longer: then it is killed.
        stop_timeout_s=options.shutdown_timeout_s + engine.teardown_s,
        speaks=engine.name,
        has_workers=True,
        after=engine.after,
        locks_memory=engine.locks_memory,
    )


def _judged(runtime: Runtime, options: EngineOptions) -> Runtime:
    """The runtime with the versions that will do, and the shared memory that its GPUs need among themselves."""
    versions = matrix.shipped()
    container = runtime.kind == "image" and options.tensor_parallel_size > 1
    return replace(
        runtime,
        least=versions["minimum"].get(runtime.distribution, ""),
        usual=versions["pins"].get(runtime.distribution, ""),
        shared_memory_bytes=LEAST_SHARED_MEMORY_BYTES if container else 0,
    )


def _closed(options: EngineOptions) -> EngineOptions:
    """Nobody gets in but by the client's certificate, and nothing is served but what the guard lets through."""
    return replace(options, client_ca=f"@ROOT@/{CA_PATH}", middleware=(GUARD,))


def _guard() -> tuple[Source, ...]:
    return repository_sources(f"{LIBRARY}/{GUARD.split('.')[0]}", "images/roles/inference/node")


def _beside(needs: EngineNeeds) -> EngineNeeds:
    """What an engine needs whose weights are there."""
    folders = tuple(dict.fromkeys((*needs.directories, WEIGHTS_FOLDER)))
    return replace(needs, variables={**needs.variables, **_OFFLINE}, directories=folders)


def _checks(engine: Engine, model: str) -> tuple[HttpCheck, ...]:
    """A hung engine may say that it is healthy, so a node is ready once it has made a token; and it is closed."""
    health, canary = engine.health, engine.canary
    anyone = HttpCheck(
        "refusal without the client's certificate",
        SERVICE,
        health.path,
        tls_ca=f"@ROOT@/{CA_PATH}",
        tls_server_name="@SERVER_NAME@",
        expect_status=REFUSED,
        deadline_s=_CLOSED_DEADLINE_S,
    )
    client = replace(anyone, client_certificate=CLIENT_CERTIFICATE_SECRET, expect_status=200)
    return (
        replace(client, name=SERVICE, deadline_s=health.deadline_s),
        replace(
            client,
            name="one-token completion",
            path=canary.path,
            method="POST",
            body=json.dumps(canary.body(model, "ready?")),
            bearer_secret=API_KEY_SECRET,
            deadline_s=_CANARY_DEADLINE_S,
        ),
        replace(client, name="refusal without the key", path="/v1/models", expect_status=401),
        replace(
            client,
            name="refusal of other paths",
            path=CLOSED_PATHS[0],
            more_paths=CLOSED_PATHS[1:],
            expect_status=404,
        ),
        anyone,
    )
