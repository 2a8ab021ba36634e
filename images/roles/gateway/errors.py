"""What the gateway itself answers when it refuses, in the shape of OpenAI's errors."""

from __future__ import annotations

import json

COMPLETION_PATHS = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings")
MODELS_PATH = "/v1/models"
HEALTH_PATH = "/health"

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
STATUSES = tuple(_ERRORS)


def openai_error(status: int) -> str:
    """The JSON body of an error of the gateway itself."""
    kind, code, message = _ERRORS[status]
    paths = ", ".join((*COMPLETION_PATHS, MODELS_PATH, HEALTH_PATH))
    return _body(kind, code, message.format(paths=paths))


def deny(status: int, condition: str) -> str:
    """A rule of haproxy.cfg that answers with `openai_error` of that status."""
    return f"http-request deny deny_status {status} {condition}"


def refuse(status: int, code: str, message: str, condition: str) -> str:
    """A rule that answers with an error of its own. `message` is a log-format string, without single quotes."""
    body = _body("invalid_request_error", code, message)
    return f"http-request return status {status} content-type application/json lf-string '{body}' {condition}"


def _body(kind: str, code: str, message: str) -> str:
    return json.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}})
