"""The frontend `endpoint` of haproxy.cfg: who may ask, for what, and which backend answers."""

from __future__ import annotations

import json
from collections.abc import Sequence

from images.engines.common.base import SERVICE
from images.roles.gateway.errors import COMPLETION_PATHS, HEALTH_PATH, MODELS_PATH, deny, refuse
from images.roles.gateway.settings import GatewaySettings

CERTIFICATE = "endpoint.pem"
"""Secret: the endpoint's certificate and its private key, one after the other, where it speaks TLS."""
ENDPOINT_KEYS = "endpoint-keys"
"""Secret: the keys of clients that are accepted, one a line."""
LUA_FILES = ("bin/model.lua", "bin/hung.lua")
"""Below the machine's root: what reads a request's model, and what ends the requests of a hung node."""
LITELLM, WAITING = "litellm", "waiting"
"""Backends beside the nodes'."""

MAX_CONNECTIONS = 4096
"""Of clients, all together. One that has sent nothing costs no buffer."""
_BODY_WITHIN_S = 30
_LOG = "%ci:%cp %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq"


def endpoint(settings: GatewaySettings, served_names: Sequence[str], no_peers: bool) -> list[str]:
    """The section's lines. Nothing but a name of `settings.managed` leads to LiteLLM, and a served one that spills."""
    return [
        "bind @BIND@:@PORT:endpoint@" + (f' ssl crt "@SECRET:{CERTIFICATE}@"' if settings.tls_server_name else ""),
        *_crowd(),
        "# No query string and no key; of the name that a client chose, 128 bytes without control characters.",
        f'log-format "{_LOG} id=%[var(txn.id)] model=%[var(txn.model),bytes(0,128),json(utf8s)] %HM %{{+Q}}HP %HV"',
        "http-request set-var(txn.id) uuid()",
        "",
        *_doors(settings, served_names, no_peers),
        "",
        "# Only what a completion needs goes on: no header of a client can speak to what stands behind.",
        r"http-request del-header ^(x-|proxy-|forwarded$|via$|cookie$|api-key$|authorization$) -m reg",
        "# Neither LiteLLM nor vLLM reads a query string there, and both write it into their logs.",
        "http-request set-pathq %[path]",
        "http-request set-header X-Request-Id %[var(txn.id)]",
        "http-after-response set-header X-Request-Id %[var(txn.id)]",
        "http-after-response set-header Retry-After 1 if { status 503 } !{ res.hdr(Retry-After) -m found }",
        "http-response del-header ^(x-litellm-|server$) -m reg",
        "",
        *_model(settings, served_names),
        "",
        *_routes(settings),
    ]


def _crowd() -> list[str]:
    """One source never takes every connection, however many of its own it leaves idle."""
    return [
        "stick-table type ipv6 size 100k expire 1m store conn_cur",
        "tcp-request connection track-sc0 src",
        f"tcp-request connection reject if {{ sc0_conn_cur gt {MAX_CONNECTIONS // 2} }}",
    ]


def _doors(settings: GatewaySettings, served_names: Sequence[str], no_peers: bool) -> list[str]:
    names = [*served_names, *(m.name for m in settings.managed)]
    owned = dict.fromkeys(names, "managed") | dict.fromkeys(served_names, "self-hosted")
    models = [{"id": n, "object": "model", "created": 0, "owned_by": owned[n]} for n in names]
    return [
        f"acl at_health path {HEALTH_PATH}",
        f"acl at_models path {MODELS_PATH}",
        f"acl at_completions path {' '.join(COMPLETION_PATHS)}",
        'acl key_known http_auth_bearer -m str -f "@SECRET:' + ENDPOINT_KEYS + '@"',
        f"acl serves nbsrv({SERVICE}) ge 1",
        # Without a managed model only a node can answer; without a node there is nothing to wait for.
        *([f"acl serves nbsrv({LITELLM}) ge 1"] if settings.managed or no_peers else []),
        "http-request set-log-level silent if at_health",
        _answer({"status": "ok"}, "if at_health serves"),
        deny(503, "if at_health"),
        deny(401, "unless key_known"),
        deny(404, "unless at_models or at_completions"),
        deny(405, "if at_models !METH_GET"),
        deny(405, "if at_completions !METH_POST"),
        _answer({"object": "list", "data": models}, "if at_models"),
    ]


def _model(settings: GatewaySettings, served_names: Sequence[str]) -> list[str]:
    """Reads the model, and refuses, with what to do, every request whose model is not one of those that there are."""
    size = settings.request_buffer_bytes
    large = (
        f"The body names no model within the first {size} bytes of the request, which is as far as the gateway reads. "
        "Send `model` before `messages` or `prompt`, or ask whoever runs this gateway to raise gateway.bufferBytes."
    )
    invalid = "The body must be one JSON object that names its model once, as a string, in the key `model`."
    encoded = "The body is compressed: send it without a Content-Encoding."
    unknown = "There is no model %[var(txn.model),json(utf8s)] here. GET /v1/models lists them."
    managed = [m.name for m in settings.managed]
    return [
        refuse(400, "encoding_unsupported", encoded, "if { req.hdr(content-encoding) -m found }"),
        f"http-request wait-for-body time {_BODY_WITHIN_S}s",
        f"http-request lua.read_model {size * 3 // 4}",
        refuse(413, "request_too_large", large, "if { var(txn.unread) -m str large }"),
        refuse(400, "model_unreadable", invalid, "if { var(txn.unread) -m found }"),
        f"acl self_hosted var(txn.model) -m str {' '.join(served_names)}",
        *([f"acl managed var(txn.model) -m str {' '.join(managed)}"] if managed else []),
        refuse(404, "model_not_found", unknown, f"unless self_hosted{' or managed' if managed else ''}"),
    ]


def _routes(settings: GatewaySettings) -> list[str]:
    spills = [
        f"acl slots_taken be_conn_free({SERVICE}) le 0",
        "# -1 where no node is left but the way of the spill, which has no limit.",
        f"acl nodes_out be_conn_free({SERVICE}) lt 0",
        f"acl queue_long queue({SERVICE}) ge {settings.spill_queue}",
        f"acl fallback_up nbsrv({LITELLM}) ge 1",
        f"use_backend {LITELLM} if self_hosted nodes_out",
        f"use_backend {LITELLM} if self_hosted slots_taken queue_long fallback_up",
        f"use_backend {WAITING} if self_hosted slots_taken fallback_up",
    ]
    return [
        *(spills if settings.fallback else []),
        f"use_backend {SERVICE} if self_hosted",
        *([f"use_backend {LITELLM} if managed"] if settings.managed else []),
    ]


def _answer(body: object, condition: str) -> str:
    return f"http-request return status 200 content-type application/json string '{json.dumps(body)}' {condition}"
