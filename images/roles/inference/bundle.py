"""The bundle of a node: an engine that serves over TLS, and what it needs."""

from __future__ import annotations

import json
from dataclasses import replace

from images.bundle import REFUSED, Bundle, File, HttpCheck, Service, Source
from images.engines.base import (
    API_KEY_SECRET,
    CERTIFICATE_SECRET,
    CLIENT_CERTIFICATE_SECRET,
    PRIVATE_KEY_SECRET,
    RATES,
    SERVICE,
    Engine,
    EngineOptions,
)
from images.sources import repository_sources

CA_PATH = "tls/ca.pem"
SECRETS = (CERTIFICATE_SECRET, PRIVATE_KEY_SECRET, API_KEY_SECRET, CLIENT_CERTIFICATE_SECRET)
"""A node's certificate is its own: it travels with the secrets, so that one bundle serves all nodes. The client's is
for its checks."""
GUARD = "crossover_node.guard.Guard"
"""The layer of ours around the engine's routes."""
LIBRARY = "lib"
"""Of Python packages, below the root."""
CLOSED_PATHS = ("/invocations", "/tokenize", "/load", "/openapi.json")
"""What vLLM answers without its key, the first with a completion (0.32)."""

_STOP_SLACK_S = 10
_CANARY_DEADLINE_S = 120
_CLOSED_DEADLINE_S = 10
"""For one answer of a server that has just answered."""


def ports(engine: Engine) -> dict[str, int]:
    """Port names of the bundle → where they are on a machine that has its network to itself."""
    return {SERVICE: engine.port}


def inference_bundle(
    engine: Engine, options: EngineOptions, ca_certificate: str, requirements: Source | None = None
) -> Bundle:
    """Everything on a node; the same for all nodes of a fleet.

    `ca_certificate` is the private CA's, PEM: the node asks its clients for a certificate of it, and checks itself by
    it, under the host's `server_name`.
    `requirements`, hash-locked, are the engine's, where it comes from a package index. Needs the secrets SECRETS and
    the ports of `ports`. Raises ValueError for rates that the engine does not take.
    """
    if options.simulation and RATES not in engine.capabilities:
        raise ValueError(f"simulation rates are the simulator's: {engine.name} takes none")
    needs = engine.needs(requirements)
    closed = replace(options, client_ca=f"@ROOT@/{CA_PATH}", middleware=(GUARD,))
    return Bundle(
        role="inference",
        files=(File(CA_PATH, ca_certificate),),
        sources=(*needs.sources, *repository_sources(f"{LIBRARY}/crossover_node", "images/roles/inference/node")),
        environments=needs.environments,
        services=(
            Service(
                name=SERVICE,
                command=(*needs.program, *engine.command(closed)),
                environment={**needs.variables, "PYTHONPATH": f"@ROOT@/{LIBRARY}"},
                secret_environment={engine.key_variable: API_KEY_SECRET},
                stop_timeout_s=options.shutdown_timeout_s + _STOP_SLACK_S,
            ),
        ),
        checks=_checks(engine, options.served_names[0]),
        secrets=SECRETS,
        programs=needs.programs,
        directories=needs.directories,
        clients_show=CLIENT_CERTIFICATE_SECRET,
    )


def _checks(engine: Engine, model: str) -> tuple[HttpCheck, ...]:
    """A hung engine may say that it is healthy, so a node is ready once it has made a token; and it is closed."""
    health, canary = engine.health, engine.canary
    anyone = HttpCheck(
        "closed without the client's certificate",
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
        replace(client, name="closed without the key", path="/v1/models", expect_status=401),
        replace(
            client,
            name="closed but for /v1",
            path=CLOSED_PATHS[0],
            more_paths=CLOSED_PATHS[1:],
            expect_status=404,
        ),
        anyone,
    )
