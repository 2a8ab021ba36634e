"""--middleware, as vLLM takes it: what a node puts in front of the routes that ask for no key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.eventually import eventually
from tests.unit.images.simulator.process import BEARER, IMAGES, KEY, Server, events

LAYERS = '''
class Closed:
    """Refuses /invocations before anything else sees it, and marks what it passes."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http" and scope["path"] == "/invocations":
            await send({"type": "http.response.start", "status": 403, "headers": []})
            await send({"type": "http.response.body", "body": b"closed"})
            return

        async def marked(message):
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-layer", b"class")]
            await send(message)

        await self.app(scope, receive, marked)


async def function(request, call_next):
    response = await call_next(request)
    response.headers["x-layer-function"] = response.headers.get("x-layer", "outside")
    return response


neither = 7
'''
Start = Callable[..., Server]


@pytest.fixture
def layered(start: Start, tmp_path: Path) -> Start:
    (tmp_path / "layers.py").write_text(LAYERS)

    def _layered(*names: str) -> Server:
        flags = (word for name in names for word in ("--middleware", name))
        return start("--api-key", KEY, *flags, environment={"PYTHONPATH": f"{IMAGES}:{tmp_path}"})

    return _layered


def test_without_a_layer_invocations_completes_without_the_key(start: Start) -> None:
    server = start("--api-key", KEY)
    answer = server.request("POST", "/invocations", {"prompt": "x", "max_tokens": 1})
    assert (answer.status, answer.json["object"]) == (200, "text_completion")
    chat = {"messages": [{"role": "user", "content": "x"}], "max_tokens": 1}
    assert server.request("POST", "/invocations", chat).json["object"] == "chat.completion"


def test_a_class_is_outside_of_the_key_and_of_every_route(layered: Start) -> None:
    server = layered("layers.Closed")
    assert server.request("POST", "/invocations", {"prompt": "x"}).body == b"closed"
    refused = server.request("GET", "/v1/models")
    assert (refused.status, refused.headers["x-layer"]) == (401, "class")
    assert server.request("GET", "/v1/models", headers=BEARER).status == 200


def test_a_stream_passes_a_class_and_a_function(layered: Start) -> None:
    server = layered("layers.Closed", "layers.function")
    answer = server.complete(BEARER, max_tokens=2, stream=True)
    assert answer.body.endswith(b"data: [DONE]\n\n")
    assert answer.headers["x-layer-function"] == "class", "the last one is the outermost"


@pytest.mark.parametrize("name", ["nowhere.Closed", "layers.Missing", "layers.neither", "layers"])
def test_one_that_cannot_be_had_ends_the_start_with_1(layered: Start, name: str) -> None:
    server = layered(name)
    assert server.exit_code() == 1
    assert "Cannot start" in server.log


def test_a_client_that_leaves_frees_its_place_behind_a_layer_too(layered: Start) -> None:
    server = layered("layers.Closed")
    connection = server.connect()
    body = b'{"prompt": "x", "max_tokens": 10000, "ignore_eos": true, "stream": true}'
    connection.request("POST", "/v1/completions", body, {"Content-Type": "application/json", **BEARER})
    response = connection.getresponse()
    next(events(response))
    assert server.metric("vllm:num_requests_running") == 1
    response.close()
    connection.close()
    eventually(lambda: server.metric("vllm:num_requests_running") == 0, "no request runs")


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json"])
def test_the_documentation_is_open_unless_it_is_off(start: Start, path: str) -> None:
    assert start("--api-key", KEY).get(path).status == 200
    assert start("--api-key", KEY, "--disable-fastapi-docs").get(path).status == 404
