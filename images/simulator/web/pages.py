"""vLLM's other routes. Most of them ask for no key: that is why a node needs a layer of its own in front."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from .. import VERSION
from ..faults import Fault
from ..service import EngineService
from ..settings import ServeSettings
from ..tokens import text_of_ids, token_ids
from .api import new_id, read_json
from .errors import invalid, not_simulated, problem

_PERMISSION = {
    "allow_create_engine": False,
    "allow_sampling": True,
    "allow_logprobs": True,
    "allow_search_indices": False,
    "allow_view": True,
    "allow_fine_tuning": False,
    "organization": "*",
    "group": None,
    "is_blocking": False,
}
_DOCS = "<!DOCTYPE html><html><head><title>FastAPI - Swagger UI</title></head><body><div id='swagger-ui'></div></body>"
_log = logging.getLogger("simulator.api")


class Pages:
    """Health, metrics, models, tokens, documentation, and the faults of the simulator."""

    def __init__(self, settings: ServeSettings, service: EngineService) -> None:
        self._settings = settings
        self._service = service
        self._started = int(time.time())

    async def health(self, _: Request) -> Response:
        """200 while there is an engine, even one that hangs or is being torn down."""
        return Response(status_code=503 if self._service.state == "dead" else 200)

    async def version(self, _: Request) -> Response:
        return JSONResponse({"version": VERSION})

    async def load(self, _: Request) -> Response:
        """vLLM counts only with --enable-server-load-tracking."""
        return JSONResponse({"server_load": 0})

    async def metrics(self, _: Request) -> Response:
        body, content_type = self._service.metrics.exposition()
        return Response(body, headers={"Content-Type": content_type})

    async def models(self, _: Request) -> Response:
        permission = {"object": "model_permission", "created": self._started, **_PERMISSION}
        cards = [
            {
                "id": name,
                "object": "model",
                "created": self._started,
                "owned_by": "vllm",
                "root": self._settings.model,
                "parent": None,
                "max_model_len": self._settings.max_model_len,
                "permission": [{"id": f"modelperm-{new_id()}", **permission}],
            }
            for name in self._settings.served_names
        ]
        return JSONResponse({"object": "list", "data": cards})

    async def tokenize(self, http: Request) -> Response:
        body = _object(await read_json(http))
        if not isinstance(text := body.get("prompt"), str):
            raise not_simulated("messages")
        ids = token_ids(text, self._settings.vocabulary)
        limit = self._settings.max_model_len
        return JSONResponse({"count": len(ids), "max_model_len": limit, "tokens": ids, "token_strs": None})

    async def detokenize(self, http: Request) -> Response:
        body = _object(await read_json(http))
        if not isinstance(ids := body.get("tokens"), list) or not all(type(token) is int for token in ids):
            raise invalid("body.tokens", problem("list_type", "body.tokens", "Input should be a valid list", ids))
        return JSONResponse({"prompt": text_of_ids(ids)})

    async def scaling(self, _: Request) -> Response:
        return JSONResponse({"is_scaling_elastic_ep": False})

    async def kv_event_sources(self, _: Request) -> Response:
        return JSONResponse({})

    async def docs(self, _: Request) -> Response:
        return HTMLResponse(_DOCS)

    async def openapi(self, http: Request) -> Response:
        routes: list[Any] = http.app.routes
        paths: dict[str, Any] = {route.path: {method.lower(): {} for method in route.methods} for route in routes}
        return JSONResponse({"openapi": "3.1.0", "info": {"title": "FastAPI", "version": "0.1.0"}, "paths": paths})

    async def get_fault(self, _: Request) -> Response:
        return JSONResponse(self._service.faults.current.to_json())

    async def set_fault(self, http: Request) -> Response:
        try:
            fault = Fault.parse(await read_json(http))
        except ValueError as error:
            raise invalid("body", problem("value_error", "body", str(error))) from error
        return self._apply(fault)

    async def clear_fault(self, _: Request) -> Response:
        return self._apply(Fault())

    def _apply(self, fault: Fault) -> Response:
        _log.warning("Fault injected: %s", json.dumps(fault.to_json()))
        self._service.faults.set(fault)
        return JSONResponse(fault.to_json())


def _object(body: object) -> Mapping[str, Any]:
    if isinstance(body, dict):
        return body
    message = "Input should be a valid dictionary or object to extract fields from"
    raise invalid("body", problem("model_attributes_type", "body", message, body))
