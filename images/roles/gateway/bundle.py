"""The gateway's bundle: HAProxy, LiteLLM, Redis, the monitoring beside them, and the stand-in if one is wanted."""

from __future__ import annotations

from collections.abc import Sequence

from images.bundle import Bundle, File, HttpCheck, PythonEnvironment, Service
from images.engines import simulator
from images.engines.common.base import API_KEY_SECRET, CLIENT_CERTIFICATE_SECRET, Engine
from images.roles.gateway.cache import render_redis_conf
from images.roles.gateway.endpoint import CERTIFICATE, ENDPOINT_KEYS, LUA_FILES
from images.roles.gateway.errors import HEALTH_PATH
from images.roles.gateway.haproxy import BACKEND_KEYS, render_haproxy
from images.roles.gateway.litellm import PROCESS_ENVIRONMENT, render_litellm_config, secret_environment
from images.roles.gateway.settings import GatewaySettings, Peer
from images.sources import repository_source
from strict.names import MONITORING_KEY

PORTS = {
    "endpoint": 8080,
    "haproxy-spill": 8081,
    "haproxy-stats": 8404,
    "litellm": 4000,
    "redis": 6379,
    "managed": 8001,
}
"""Port names of the bundle → where they are on a machine that has its network to itself. Only `endpoint` is meant to
be reached from outside; everything else listens on loopback."""
_HAPROXY = "haproxy/haproxy.cfg"
_LITELLM = "litellm/config.yaml"
_REDIS = "redis/redis.conf"
_CA = "tls/ca.pem"
_ROUTE = "bin/route.py"
_GUARDED = "bin/guarded_litellm.py"
_MASTER_KEY = "litellm-master-key"


def gateway_bundle(
    settings: GatewaySettings,
    served_names: Sequence[str],
    engine: Engine,
    peers: Sequence[Peer],
    ca_pem: str,
    monitoring: Bundle,
) -> Bundle:
    """Everything on the gateway's machine.

    `served_names` is what the nodes serve, with `engine`; `peers` are the nodes that have an address (none is fine),
    `ca_pem` is the private CA's certificate, `monitoring` what `monitoring_bundle` returns. Raises ValueError
    where names collide.
    """
    parts = [
        _haproxy(settings, render_haproxy(settings, served_names, engine, peers), engine, ca_pem),
        _litellm(settings, served_names),
        _redis(),
        monitoring,
    ]
    if settings.stand_in:
        parts.append(_stand_in(settings))
    return _join("gateway", parts)


def _join(role: str, parts: Sequence[Bundle]) -> Bundle:
    return Bundle(
        role=role,
        files=tuple(f for p in parts for f in p.files),
        sources=tuple(s for p in parts for s in p.sources),
        environments=tuple(e for p in parts for e in p.environments),
        services=tuple(s for p in parts for s in p.services),
        checks=tuple(c for p in parts for c in p.checks),
        secrets=tuple(sorted({s for p in parts for s in p.secrets})),
        programs=tuple(x for p in parts for x in p.programs),
        directories=tuple(d for p in parts for d in p.directories),
    )


def _haproxy(settings: GatewaySettings, configuration: str, engine: Engine, ca_pem: str) -> Bundle:
    name = settings.tls_server_name
    secrets = (
        *(ENDPOINT_KEYS, BACKEND_KEYS, MONITORING_KEY, CLIENT_CERTIFICATE_SECRET),
        *(() if name is None else (CERTIFICATE,)),
    )
    # Nothing reads these any more (BACKEND_KEYS). Without them the process of a stack that runs would be restarted,
    # which cuts streams; a change of theirs is a reload.
    kept = {engine.key_variable: API_KEY_SECRET, "LITELLM_MASTER_KEY": "litellm-master-key"}
    ready = HttpCheck(
        "endpoint",
        "endpoint",
        HEALTH_PATH,
        tls_ca=None if name is None else f"@ROOT@/{_CA}",
        tls_server_name=name,
        deadline_s=180,
    )
    return Bundle(
        role="haproxy",
        files=(File(_HAPROXY, configuration), File(_CA, ca_pem)),
        # The first takes a node out of rotation while it changes: see images/vehicles/ssh/drain.py.
        sources=(
            repository_source(_ROUTE, "images/roles/gateway/route.py"),
            *(repository_source(file, file.replace("bin/", "images/roles/gateway/")) for file in LUA_FILES),
        ),
        services=(
            Service(
                name="haproxy",
                command=("haproxy", "-W", "-db", "-f", f"@ROOT@/{_HAPROXY}"),
                secret_environment=kept,
                # A reload starts new workers; streams end in the old ones.
                reload_signal="USR2",
                reload_files=(_HAPROXY, _CA, _ROUTE, *LUA_FILES, *(f"secrets/{s}" for s in (*secrets, *kept.values()))),
            ),
        ),
        checks=(
            HttpCheck("haproxy", "haproxy-stats", "/metrics", bearer_secret=MONITORING_KEY),
            # Healthy as soon as anything can be answered: LiteLLM's start, not the nodes, is what is waited for.
            ready,
        ),
        secrets=(*secrets, *kept.values()),
        programs=("haproxy",),
        directories=("run",),
    )


def _litellm(settings: GatewaySettings, served_names: Sequence[str]) -> Bundle:
    variables = secret_environment(settings)
    checks = [HttpCheck("litellm", "litellm", "/health/liveliness", bearer_secret=_MASTER_KEY, deadline_s=180)]
    if settings.cache_ttl_seconds:
        checks.append(HttpCheck("cache", "litellm", "/cache/ping", bearer_secret=_MASTER_KEY))
    return Bundle(
        role="litellm",
        files=(File(_LITELLM, render_litellm_config(settings, served_names)),),
        sources=(repository_source(_GUARDED, "images/roles/gateway/guarded_litellm.py"),),
        environments=(
            PythonEnvironment("litellm", repository_source("requirements/litellm.txt", "requirements/litellm.txt")),
        ),
        services=(
            Service(
                name="litellm",
                command=(
                    *("@ENV:litellm@/bin/python", f"@ROOT@/{_GUARDED}"),
                    *("--config", f"@ROOT@/{_LITELLM}"),
                    *("--host", "127.0.0.1", "--port", "@PORT:litellm@"),
                    *("--num_workers", "1"),
                ),
                environment=PROCESS_ENVIRONMENT,
                secret_environment=variables,
                stop_timeout_s=60,
                # A hundred packages of others, who are to find no key but those it needs.
                own_user=True,
            ),
        ),
        checks=tuple(checks),
        secrets=tuple(variables.values()),
    )


def _redis() -> Bundle:
    return Bundle(
        role="redis",
        files=(File(_REDIS, render_redis_conf()),),
        services=(Service(name="redis", command=("redis-server", f"@ROOT@/{_REDIS}")),),
        secrets=("redis.conf",),
        programs=("redis-server",),
        directories=("data/redis",),
    )


def _stand_in(settings: GatewaySettings) -> Bundle:
    names = [m.model.removeprefix("openai/") for m in settings.stood_in]
    key = settings.stood_in[0].api_key_secret
    needs = simulator.ENGINE.needs("machine")
    return Bundle(
        role="stand-in",
        sources=needs.sources,
        environments=needs.environments,
        services=(
            Service(
                name="managed",
                command=(
                    *(*needs.program, "serve", names[0]),
                    *("--served-model-name", *names),
                    *("--host", "127.0.0.1", "--port", "@PORT:managed@"),
                ),
                environment=needs.variables,
                secret_environment={simulator.ENGINE.key_variable: key},
            ),
        ),
        checks=(HttpCheck("managed", "managed", simulator.ENGINE.health.path),),
        secrets=(key,),
    )
