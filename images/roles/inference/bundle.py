"""The bundle of a node: an engine that serves over TLS, and what it needs."""

from __future__ import annotations

import json

from images.bundle import Bundle, File, GpuDemand, HttpCheck, Service, Source
from images.engines.base import (
    API_KEY_SECRET,
    CERTIFICATE_SECRET,
    PRIVATE_KEY_SECRET,
    RATES,
    SERVICE,
    Engine,
    EngineOptions,
)

CA_PATH = "tls/ca.pem"
SECRETS = (CERTIFICATE_SECRET, PRIVATE_KEY_SECRET, API_KEY_SECRET)
"""A node's certificate is its own: it travels with the secrets, so that one bundle serves all nodes."""

_CANARY_DEADLINE_S = 120


def ports(engine: Engine) -> dict[str, int]:
    """Port names of the bundle → where they are on a machine that has its network to itself."""
    return {SERVICE: engine.port}


def inference_bundle(
    engine: Engine,
    options: EngineOptions,
    ca_certificate: str,
    requirements: Source | None = None,
    gpu: GpuDemand | None = None,
) -> Bundle:
    """Everything on a node; the same for all nodes of a fleet.

    `ca_certificate` is the private CA's, PEM: the node checks itself by it, under the host's `server_name`.
    `requirements`, hash-locked, are the engine's, where it comes from a package index. `gpu` is `images.gpu.matrix`'
    `demand`, for an engine that needs GPUs. Needs the secrets SECRETS and
    the ports of `ports`. Raises ValueError for rates that the engine does not take.
    """
    if options.simulation and RATES not in engine.capabilities:
        raise ValueError(f"simulation rates are the simulator's: {engine.name} takes none")
    needs = engine.needs(requirements)
    return Bundle(
        role="inference",
        files=(File(CA_PATH, ca_certificate),),
        sources=needs.sources,
        environments=needs.environments,
        services=(
            Service(
                name=SERVICE,
                command=(*needs.program, *engine.command(options)),
                environment=needs.variables,
                secret_environment={engine.key_variable: API_KEY_SECRET},
                # vLLM's own time-out is for both, but it has been seen to take longer: then it is killed.
                stop_timeout_s=options.shutdown_timeout_s + engine.teardown_s,
                speaks=engine.name,
                has_workers=True,
                after=engine.after,
                locks_memory=engine.locks_memory,
            ),
        ),
        checks=_checks(engine, options.served_names[0]),
        secrets=SECRETS,
        programs=needs.programs,
        directories=needs.directories,
        gpu=gpu,
    )


def _checks(engine: Engine, model: str) -> tuple[HttpCheck, ...]:
    """A hung engine may say that it is healthy, so a node is ready once it has made a token."""
    tls_ca, name = f"@ROOT@/{CA_PATH}", "@SERVER_NAME@"
    health, canary = engine.health, engine.canary
    return (
        HttpCheck(SERVICE, SERVICE, health.path, tls_ca=tls_ca, tls_server_name=name, deadline_s=health.deadline_s),
        HttpCheck(
            "one-token completion",
            SERVICE,
            canary.path,
            method="POST",
            body=json.dumps(canary.body(model, "ready?")),
            bearer_secret=API_KEY_SECRET,
            tls_ca=tls_ca,
            tls_server_name=name,
            deadline_s=_CANARY_DEADLINE_S,
        ),
    )
