"""What clients are told when a request is refused, in vLLM 0.32's shapes. Pure."""

from __future__ import annotations

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


def invalid(location: str, problem: str, message: str) -> ApiError:
    """A body that does not fit the schema, `location` like "body.max_tokens". The offending value is not echoed."""
    text = f"1 validation error:\n  {{'type': '{problem}', 'loc': '{location}', 'msg': '{message}'}}"
    return ApiError(HTTPStatus.BAD_REQUEST, HTTPStatus.BAD_REQUEST.phrase, text, location)


def bad_request(message: str, param: str, value: object = None) -> ApiError:
    """A body of the right shape that cannot be served."""
    extras = f"parameter={param}" if value is None else f"parameter={param}, value={value}"
    return ApiError(HTTPStatus.BAD_REQUEST, "BadRequestError", f"{message} ({extras})", param)


def not_simulated(param: str) -> ApiError:
    """What vLLM can do and the simulator cannot: refused, never silently left out."""
    return bad_request("The simulator does not support this.", param)


def unknown_model(model: str) -> ApiError:
    return ApiError(HTTPStatus.NOT_FOUND, "NotFoundError", f"The model `{model}` does not exist.", "model")


def unavailable(message: str) -> ApiError:
    return ApiError(HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.SERVICE_UNAVAILABLE.phrase, message)


def internal(message: str) -> ApiError:
    return ApiError(HTTPStatus.INTERNAL_SERVER_ERROR, "InternalServerError", message)
