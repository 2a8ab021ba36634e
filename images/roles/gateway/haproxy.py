"""haproxy.cfg: the hot path. Keys, paths, routing by model, health and retries; no secret stands in it.

Keys are read from files: those of clients (ENDPOINT_KEYS), and what is shown to what stands behind (BACKEND_KEYS). So a
new key is a reload, which cuts no stream; a process gets no new environment without a restart.

    client ── endpoint ──┬── vllm ──── node a, node b, …       self-hosted names
                         │     └────── spill ── litellm        no node takes it (backup server)
                         ├── waiting ─ queue ── vllm           with a fallback, while no slot is free
                         │     └────── spill ── litellm        it has waited long enough
                         └── litellm ──────────── managed      managed names; what has another, or none, is refused
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from images.engines.common.base import CANARY_HEADER, CLIENT_CERTIFICATE_SECRET, SERVICE, Engine
from images.roles.gateway.endpoint import LITELLM, LUA_FILES, MAX_CONNECTIONS, WAITING, endpoint
from images.roles.gateway.errors import STATUSES, deny, openai_error
from images.roles.gateway.settings import RESERVED_SERVER, GatewaySettings, Peer
from strict.names import MONITORING_KEY

LITELLM_MAX_IN_FLIGHT = 200
SOCKET = "run/haproxy.sock"
"""HAProxy's runtime API, relative to the machine's root, which must be the working directory of the process."""
BACKEND_KEYS = "backend-keys"
"""Secret: HAProxy's map of who stands behind to the Authorization that is shown there (`backend_keys`)."""
_NODES = "nodes"
_QUEUE = "run/queue.sock"
"""From HAProxy to itself, as SOCKET."""
_SERVED_BY = "http-response set-header X-Served-By %s"


def backend_keys(nodes: str, litellm: str) -> str:
    """BACKEND_KEYS' content, from both keys."""
    return f"{_NODES} Bearer {nodes}\n{LITELLM} Bearer {litellm}\n"


def _authorization(whom: str) -> str:
    """A sample of what is shown to them. The file's path is relative to @ROOT@, as SOCKET is: an argument of a
    converter takes no space."""
    return f"str({whom}),map(secrets/{BACKEND_KEYS})"


def render_haproxy(
    settings: GatewaySettings, served_names: Sequence[str], engine: Engine, peers: Sequence[Peer]
) -> str:
    """The whole file, tokens unresolved. `engine` is what the nodes serve with. `peers` may be empty: then everything
    goes the way of LiteLLM.

    Raises ValueError on two peers of one key, or a served name that is a managed one.
    """
    settings.check_served(tuple(served_names))
    keys = [p.key for p in peers]
    if len(set(keys)) != len(keys):
        raise ValueError(f"peers: a key stands there more than once: {', '.join(keys)}")
    ordered = sorted(peers, key=lambda p: p.key)
    sections = [
        _global(settings),
        _defaults(settings),
        _resolvers(ordered),
        _section("frontend endpoint", endpoint(settings, served_names, not peers)),
        _nodes(settings, served_names[0], engine, ordered),
        _waiting() + "\n" + _spill() if settings.fallback else "",
        _litellm(),
        _stats(),
    ]
    return "\n".join(section for section in sections if section)


def _section(head: str, lines: Sequence[str]) -> str:
    return "\n".join([head, *(f"    {line}" if line else "" for line in lines)]) + "\n"


def _global(settings: GatewaySettings) -> str:
    return _section(
        "global",
        [
            "log stdout format raw local0 info",
            f"maxconn {MAX_CONNECTIONS}",
            "# Where the system allows fewer files, it starts all the same.",
            "no strict-limits",
            *(f'lua-load-per-thread "@ROOT@/{file}"' for file in LUA_FILES),
            "# A request is routed by its model, and replayed on another node, only if it fits one buffer.",
            f"tune.bufsize {settings.request_buffer_bytes}",
            "# Relative to @ROOT@, where the process starts: a socket's path ends at 108 bytes, a folder's does not.",
            f"stats socket unix@{SOCKET} mode 600 level admin expose-fd listeners",
            "# After a reload the old process ends its streams, but not for ever.",
            f"hard-stop-after {settings.request_timeout_seconds + 300}s",
            "ssl-default-server-options ssl-min-ver TLSv1.2",
            "ssl-default-bind-options ssl-min-ver TLSv1.2",
        ],
    )


def _defaults(settings: GatewaySettings) -> str:
    lines = [
        "mode http",
        "log global",
        "option dontlognull",
        "# Each chunk of a stream leaves at once instead of waiting for a full packet.",
        "option http-no-delay",
        "option http-restrict-req-hdr-names delete",
        "# Here, for the endpoint's own connections too: whoever leaves ends the work of a node.",
        "option abortonclose",
        "# Bytes are counted as they come: hung.lua looks whether any do.",
        "option contstats",
        "timeout connect 3s",
        "timeout http-request 10s",
        "timeout http-keep-alive 60s",
        "timeout client-fin 30s",
        f"timeout client {settings.request_timeout_seconds}s",
        f"timeout server {settings.request_timeout_seconds}s",
        f"timeout queue {settings.queue_timeout_ms}ms",
    ]
    lines += [f"http-error status {s} content-type application/json string '{openai_error(s)}'" for s in STATUSES]
    return _section("defaults", lines)


def _resolvers(peers: Sequence[Peer]) -> str:
    if not any(p.is_host_name for p in peers):
        return ""
    return _section("resolvers system", ["parse-resolv-conf", "hold valid 30s"])


def _nodes(settings: GatewaySettings, model: str, engine: Engine, peers: Sequence[Peer]) -> str:
    canary = engine.canary
    key = f"%[{_authorization(_NODES)}]"
    lines = [
        *_balance(settings),
        f'http-request set-header Authorization "{key}"',
        _SERVED_BY,
        "# A client's first request need not wait for a handshake: what a closed connection loses is replayed.",
        "http-reuse always",
        "",
        "# Replayed elsewhere until the first byte of an answer, never after it. More often than there are nodes: the",
        "# idle connections of one that has just died fail at once, and tell nothing of it.",
        f"retries {len(peers) + 5}",
        "option redispatch 1",
        "retry-on conn-failure empty-response 503",
        "",
        f"# A check is {engine.health.path}, then one token: a hung engine answers the first and never the second.",
        f"# Busy ({', '.join(map(str, canary.busy))} of {engine.title}'s admission) is not hung.",
        "option httpchk",
        f"timeout check {settings.canary_timeout_ms}ms",
        "http-check connect default",
        f"http-check send meth GET uri {engine.health.path} ver HTTP/1.1 hdr Host gateway",
        "http-check expect status 200",
        "http-check connect default",
        f"http-check send meth POST uri {canary.path} ver HTTP/1.1 hdr Host gateway"
        f' hdr Content-Type application/json hdr Authorization "{key}" hdr {CANARY_HEADER} 1'
        f" body '{json.dumps(canary.body(model, 'ping'))}'",
        f"http-check expect status {','.join(str(status) for status in (200, *canary.busy))}",
        "# One refused or lost connection takes a node out at once; checks bring it back, or hung.lua ends its rest.",
        *(_server(settings, peer) for peer in peers),
    ]
    if settings.fallback:
        lines += [
            "# Taken only when every node is out, also by a request that has just found the last one dead.",
            f"server {RESERVED_SERVER} 127.0.0.1:@PORT:haproxy-spill@ backup track litellm/litellm",
        ]
    return _section(f"backend {SERVICE}", lines)


def _balance(settings: GatewaySettings) -> list[str]:
    if settings.balance == "leastConnections":
        return ["balance leastconn"]
    size = settings.prefix_bytes
    return [
        "# Equal beginnings of prompts on one node, for its prefix cache; never more than its share of the load.",
        f"http-request set-var(txn.prefix) req.body,json_query('$.messages[0].content'),bytes(0,{size})",
        f"http-request set-var(txn.prefix) req.body,json_query('$.prompt'),bytes(0,{size})"
        " unless { var(txn.prefix) -m found }",
        "balance hash var(txn.prefix)",
        "hash-type consistent sdbm avalanche",
        f"hash-balance-factor {settings.prefix_load_percent}",
    ]


def _server(settings: GatewaySettings, peer: Peer) -> str:
    inter = settings.health_interval_ms
    soon = min(1000, inter)
    parts = [
        f"server {peer.key} {peer.target} maxconn {settings.slots_per_node}",
        f'ssl verify required ca-file "@ROOT@/tls/ca.pem" verifyhost {peer.server_name}',
        f'crt "@SECRET:{CLIENT_CERTIFICATE_SECRET}@"',
        f"sni str({peer.server_name}) check-sni {peer.server_name}",
        f"check inter {inter}ms fastinter {soon}ms downinter {soon}ms fall {settings.canary_strikes} rise 2",
        "observe layer4 error-limit 1 on-error mark-down init-addr last,libc,none",
    ]
    return " ".join([*parts, "resolvers system"] if peer.is_host_name else parts)


def _waiting() -> str:
    """What waits for a slot comes back here as 503 when its patience ends, and a 503 is replayed: on the other server.

    HAProxy itself never takes a request out of a backend's queue to another one.
    """
    backend = [
        f'http-request set-header Authorization "%[{_authorization(_NODES)}]"',
        "balance leastconn",
        "retries 1",
        "option redispatch 1",
        "retry-on conn-failure 503",
        "use-server queue if TRUE",
        f"server queue unix@{_QUEUE}",
        f"server {RESERVED_SERVER} 127.0.0.1:@PORT:haproxy-spill@ track {LITELLM}/{LITELLM}",
    ]
    frontend = [f"bind unix@{_QUEUE} mode 600", "no log", f"default_backend {SERVICE}"]
    return _section(f"backend {WAITING}", backend) + "\n" + _section("frontend queue", frontend)


def _spill() -> str:
    return _section(
        "frontend spill",
        [
            "bind 127.0.0.1:@PORT:haproxy-spill@",
            "no log",
            f"http-request set-var(txn.key) {_authorization(_NODES)}",
            deny(401, "unless { req.hdr(authorization),secure_memcmp(txn.key) -m bool }"),
            "default_backend litellm",
        ],
    )


def _litellm() -> str:
    return _section(
        "backend litellm",
        [
            _SERVED_BY,
            f'http-request set-header Authorization "%[{_authorization(LITELLM)}]"',
            "# What may cost money is asked again only where nothing was sent.",
            "retry-on conn-failure",
            "option httpchk",
            'http-check send meth GET uri /health/liveliness hdr Authorization "%[' + _authorization(LITELLM) + ']"',
            "http-check expect status 200",
            "timeout check 5s",
            "server litellm 127.0.0.1:@PORT:litellm@ check inter 2s fastinter 1s downinter 1s fall 3 rise 1"
            f" maxconn {LITELLM_MAX_IN_FLIGHT}",
        ],
    )


def _stats() -> str:
    return _section(
        "frontend stats",
        [
            "bind 127.0.0.1:@PORT:haproxy-stats@",
            "no log",
            deny(401, f'unless {{ http_auth_bearer -m str -f "@SECRET:{MONITORING_KEY}@" }}'),
            "http-request use-service prometheus-exporter if { path /metrics }",
            "http-request return status 404",
        ],
    )
