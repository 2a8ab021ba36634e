"""What clients are told when a request is refused, in vLLM 0.32's shapes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any


class ApiError(Exception):
    """A refused request: `{"error": {"message", "type", "param", "code"}}` with the status as the code."""

    def __init__(self, status: HTTPStatus, kind: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = message
        self.param = param

    def to_json(self) -> dict[str, Any]:
        error = {"message": self.message, "type": self.kind, "param": self.param, "code": int(self.status)}
        return {"error": error}


_ABSENT = object()


def problem(kind: str, location: str, message: str, value: object = _ABSENT, **context: object) -> str:
    """One line of a validation error, `location` like "body.max_tokens". `value` is echoed as vLLM echoes it: a text
    or a number as it is, a list or an object by its length."""
    fields: dict[str, object] = {"type": kind, "loc": location, "msg": message}
    if value is not _ABSENT:
        fields["input"] = _echo(value)
    if context:
        fields["ctx"] = context
    return str(fields)


def invalid(location: str, *problems: str) -> ApiError:
    """A body that does not fit the schema, at `location` first."""
    count = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''}:"
    text = "\n  ".join((count, *problems))
    return ApiError(HTTPStatus.BAD_REQUEST, HTTPStatus.BAD_REQUEST.phrase, text, location)


def bad_request(message: str, param: str | None = None, value: object = None) -> ApiError:
    """A body of the right shape that cannot be served."""
    if param is not None:
        extras = f"parameter={param}" if value is None else f"parameter={param}, value={value}"
        message = f"{message} ({extras})"
    return ApiError(HTTPStatus.BAD_REQUEST, "BadRequestError", message, param)


def not_simulated(param: str) -> ApiError:
    """What vLLM can do and the simulator cannot: refused, never silently left out."""
    return bad_request("The simulator does not support this.", param)


def unknown_model(model: str, served: tuple[str, ...]) -> ApiError:
    """vLLM shows no path of the machine."""
    shown = "<path>" if model.startswith("/") else model
    message = f"The model `{shown}` does not exist. Valid aliases: {', '.join(served)}."
    return ApiError(HTTPStatus.NOT_FOUND, "NotFoundError", message, "model")


def unavailable(message: str) -> ApiError:
    return ApiError(HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.SERVICE_UNAVAILABLE.phrase, message)


def internal(message: str) -> ApiError:
    return ApiError(HTTPStatus.INTERNAL_SERVER_ERROR, "InternalServerError", message)


def _echo(value: object) -> str:
    if isinstance(value, Mapping):
        return f"<dict of {len(value)} items>"
    if isinstance(value, list):
        return f"<list of {len(value)} items>"
    return str(value)
