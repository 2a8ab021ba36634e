"""haproxy.cfg: the hot path. Keys, paths, routing by model, health and retries; no secret stands in it.

The process reads the nodes' key and LiteLLM's from its environment (`environment`). They stand inside format strings,
so they must be free of `%`, quotes and spaces (URL-safe tokens are).

    client ── endpoint ──┬── vllm ──── node a, node b, …       self-hosted names
                         │     └────── spill ── litellm        no node takes it (backup server)
                         └── litellm ──────────── managed      every other name, and bodies without a readable one
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from images.engines.common.base import API_KEY_SECRET, CLIENT_CERTIFICATE_SECRET, SERVICE, Engine
from images.roles.gateway.settings import RESERVED_SERVER, GatewaySettings, Peer
from strict.names import MONITORING_KEY

MAX_CLIENTS = 1024
"""Connections of clients. Each active request holds up to two buffers of `buffer_bytes`: 512 MiB at the default."""
LITELLM_MAX_IN_FLIGHT = 200
COMPLETION_PATHS = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings")
MODELS_PATH = "/v1/models"
HEALTH_PATH = "/health"
SOCKET = "run/haproxy.sock"
"""HAProxy's runtime API, relative to the machine's root, which must be the working directory of the process."""
CERTIFICATE = "endpoint.pem"
"""Secret: the endpoint's certificate and its private key, one after the other, where it speaks TLS."""

_ERRORS: dict[int, tuple[str, str, str]] = {
    400: ("invalid_request_error", "bad_request", "The request is not valid HTTP, or its headers are too large."),
    401: ("invalid_request_error", "invalid_api_key", "No API key, or one that is not known here."),
    403: ("invalid_request_error", "forbidden", "Refused."),
    404: ("invalid_request_error", "unknown_url", "There is nothing here. Served: {paths}."),
    405: ("invalid_request_error", "method_not_allowed", "This path does not take that method."),
    408: ("invalid_request_error", "request_timeout", "The request did not arrive in time."),
    413: ("invalid_request_error", "request_too_large", "The request is too large."),
    429: ("rate_limit_error", "rate_limited", "Too many requests."),
    500: ("server_error", "internal_error", "The gateway failed."),
    502: ("server_error", "bad_gateway", "The node failed while it had the request."),
    503: ("server_error", "overloaded", "No node can take the request now. Try again."),
    504: ("server_error", "timeout", "The node did not answer in time."),
}


def environment(engine: Engine) -> dict[str, str]:
    """The variables that the file needs, and the secrets they come from."""
    return {engine.key_variable: API_KEY_SECRET, "LITELLM_MASTER_KEY": "litellm-master-key"}


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
        _endpoint(settings, served_names, ordered),
        _nodes(settings, served_names[0], engine, ordered),
        _spill(engine) if settings.fallback else "",
        _litellm(),
        _stats(),
    ]
    return "\n".join(section for section in sections if section)


def openai_error(status: int) -> str:
    """The JSON body of an error of the gateway itself, in the shape of OpenAI's."""
    kind, code, message = _ERRORS[status]
    paths = ", ".join((*COMPLETION_PATHS, MODELS_PATH, HEALTH_PATH))
    error = {"message": message.format(paths=paths), "type": kind, "param": None, "code": code}
    return json.dumps({"error": error})


def _deny(status: int, condition: str) -> str:
    """The body is `http-error`'s of that status."""
    return f"http-request deny deny_status {status} {condition}"


def _answer(body: object, condition: str) -> str:
    return f"http-request return status 200 content-type application/json string '{json.dumps(body)}' {condition}"


def _section(head: str, lines: Sequence[str]) -> str:
    return "\n".join([head, *(f"    {line}" if line else "" for line in lines)]) + "\n"


def _global(settings: GatewaySettings) -> str:
    return _section(
        "global",
        [
            "log stdout format raw local0 info",
            f"maxconn {MAX_CLIENTS}",
            "# A request is routed by its model, and replayed on another node, only if it fits one buffer.",
            f"tune.bufsize {settings.buffer_bytes}",
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
        "timeout connect 4s",
        "timeout http-request 30s",
        "timeout http-keep-alive 60s",
        "timeout client-fin 30s",
        f"timeout client {settings.request_timeout_seconds}s",
        f"timeout server {settings.request_timeout_seconds}s",
        f"timeout queue {settings.queue_timeout_ms}ms",
    ]
    lines += [f"http-error status {s} content-type application/json string '{openai_error(s)}'" for s in _ERRORS]
    return _section("defaults", lines)


def _resolvers(peers: Sequence[Peer]) -> str:
    if not any(p.is_host_name for p in peers):
        return ""
    return _section("resolvers system", ["parse-resolv-conf", "hold valid 30s"])


def _endpoint(settings: GatewaySettings, served_names: Sequence[str], peers: Sequence[Peer]) -> str:
    names = [*served_names, *(m.name for m in settings.managed)]
    owned = dict.fromkeys(names, "managed") | dict.fromkeys(served_names, "self-hosted")
    models = [{"id": n, "object": "model", "created": 0, "owned_by": owned[n]} for n in names]
    log = "%ci:%cp %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq"
    lines = [
        "bind @BIND@:@PORT:endpoint@" + (f' ssl crt "@SECRET:{CERTIFICATE}@"' if settings.tls_server_name else ""),
        "option http-buffer-request",
        f'log-format "{log} id=%[var(txn.id)] model=%[var(txn.model)] %{{+Q}}r"',
        "http-request set-var(txn.id) uuid()",
        "",
        f"acl at_health path {HEALTH_PATH}",
        f"acl at_models path {MODELS_PATH}",
        f"acl at_completions path {' '.join(COMPLETION_PATHS)}",
        'acl key_known http_auth_bearer -m str -f "@SECRET:endpoint-keys@"',
        f"acl serves nbsrv({SERVICE}) ge 1",
        # Without a managed model only a node can answer; without a node there is nothing to wait for.
        *(["acl serves nbsrv(litellm) ge 1"] if settings.managed or not peers else []),
        "http-request set-log-level silent if at_health",
        _answer({"status": "ok"}, "if at_health serves"),
        _deny(503, "if at_health"),
        _deny(401, "unless key_known"),
        _deny(404, "unless at_models or at_completions"),
        _deny(405, "if at_models !METH_GET"),
        _deny(405, "if at_completions !METH_POST"),
        _answer({"object": "list", "data": models}, "if at_models"),
        "",
        "# Only what a completion needs goes on: no header of a client can speak to what stands behind.",
        r"http-request del-header ^(x-|proxy-|forwarded$|via$|cookie$|api-key$|authorization$) -m reg",
        "http-request set-header X-Request-Id %[var(txn.id)]",
        "http-after-response set-header X-Request-Id %[var(txn.id)]",
        "http-after-response set-header Retry-After 1 if { status 503 } !{ res.hdr(Retry-After) -m found }",
        "http-response del-header ^(x-litellm-|server$) -m reg",
        "http-response set-header X-Served-By %s",
        "",
        "http-request set-var(txn.model) req.body,json_query('$.model')",
        f"acl self_hosted var(txn.model) -m str {' '.join(served_names)}",
    ]
    if settings.fallback:
        lines += [
            f"acl slots_taken be_conn_free({SERVICE}) le 0",
            f"acl queue_long queue({SERVICE}) ge {settings.spill_queue}",
            "use_backend litellm if self_hosted slots_taken queue_long",
        ]
    return _section("frontend endpoint", [*lines, f"use_backend {SERVICE} if self_hosted", "default_backend litellm"])


def _nodes(settings: GatewaySettings, model: str, engine: Engine, peers: Sequence[Peer]) -> str:
    canary = engine.canary
    key = f"Bearer ${{{engine.key_variable}}}"
    lines = [
        *_balance(settings),
        "option abortonclose",
        f'http-request set-header Authorization "{key}"',
        "",
        "# Replayed elsewhere until the first byte of an answer, never after it.",
        f"retries {len(peers) + 1}",
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
        f' hdr Content-Type application/json hdr Authorization "{key}"'
        f" body '{json.dumps(canary.body(model, 'ping'))}'",
        f"http-check expect status {','.join(str(status) for status in (200, *canary.busy))}",
        "# One refused or lost connection takes a node out at once; checks bring it back.",
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
        f"server {peer.key} {peer.target} maxconn {settings.max_connections_per_node}",
        f'ssl verify required ca-file "@ROOT@/tls/ca.pem" verifyhost {peer.server_name}',
        f'crt "@SECRET:{CLIENT_CERTIFICATE_SECRET}@"',
        f"sni str({peer.server_name}) check-sni {peer.server_name}",
        f"check inter {inter}ms fastinter {soon}ms downinter {soon}ms fall {settings.canary_strikes} rise 2",
        "observe layer4 error-limit 1 on-error mark-down init-addr last,libc,none",
    ]
    return " ".join([*parts, "resolvers system"] if peer.is_host_name else parts)


def _spill(engine: Engine) -> str:
    return _section(
        "frontend spill",
        [
            "bind 127.0.0.1:@PORT:haproxy-spill@",
            "no log",
            _deny(401, f'unless {{ http_auth_bearer -m str "${{{engine.key_variable}}}" }}'),
            "default_backend litellm",
        ],
    )


def _litellm() -> str:
    return _section(
        "backend litellm",
        [
            "option abortonclose",
            'http-request set-header Authorization "Bearer ${LITELLM_MASTER_KEY}"',
            "# What may cost money is asked again only where nothing was sent.",
            "retry-on conn-failure",
            "option httpchk",
            'http-check send meth GET uri /health/liveliness hdr Authorization "Bearer ${LITELLM_MASTER_KEY}"',
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
            _deny(401, f'unless {{ http_auth_bearer -m str -f "@SECRET:{MONITORING_KEY}@" }}'),
            "http-request use-service prometheus-exporter if { path /metrics }",
            "http-request return status 404",
        ],
    )
