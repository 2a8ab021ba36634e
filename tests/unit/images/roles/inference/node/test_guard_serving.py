"""The guard in a real server: what it lets through leaves as it was made, and what it stops never gets in."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
import uvicorn

from images.roles.inference.node.canary import Receive, Scope, Send
from images.roles.inference.node.guard import KEY_VARIABLE, Guard

KEY = "sk-node-0123456789"


@dataclass
class Application:
    """Streams one chunk, and the last only when told to."""

    release: threading.Event = field(default_factory=threading.Event)
    seen: list[str] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError("nothing but requests here")
        self.seen.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        await send({"type": "http.response.body", "body": b"data: first\n\n", "more_body": True})
        await asyncio.get_running_loop().run_in_executor(None, self.release.wait, 20)
        await send({"type": "http.response.body", "body": b"data: last\n\n"})


@pytest.fixture
def application() -> Application:
    return Application()


@pytest.fixture
def port(application: Application) -> Iterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    configuration = uvicorn.Config(Guard(application, {KEY_VARIABLE: KEY}), lifespan="off", log_config=None)
    server = uvicorn.Server(configuration)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield int(listener.getsockname()[1])
    application.release.set()
    server.should_exit = True
    thread.join(20)


def asked(port: int, head: str, key: str = KEY) -> socket.socket:
    """A connection on which a request was sent, byte by byte as given."""
    connection = socket.create_connection(("127.0.0.1", port), 20)
    connection.sendall(f"{head} HTTP/1.1\r\nHost: node\r\nAuthorization: Bearer {key}\r\n\r\n".encode())
    return connection


def until(connection: socket.socket, text: bytes) -> bytes:
    """What comes until `text` has come, or the end."""
    heard = b""
    while text not in heard and (more := connection.recv(65536)):
        heard += more
    return heard


def test_the_first_chunk_of_a_stream_arrives_before_the_last_is_made(application: Application, port: int) -> None:
    with asked(port, "GET /v1/stream") as connection:
        assert b"data: first" in until(connection, b"data: first")
        assert not application.release.is_set()
        application.release.set()
        assert b"data: last" in until(connection, b"data: last")


@pytest.mark.parametrize(
    "target",
    [
        "/invocations", "/v1/../invocations", "/%76%31/models", "/v1/%2e%2e/invocations", "//v1/models",
        "/v1//models", "/v1/models/..%2f..%2finvocations", "http://node/invocations", "*",
    ],
)  # fmt: skip
def test_however_it_is_spelt_on_the_wire_nothing_else_gets_in(application: Application, port: int, target: str) -> None:
    with asked(port, f"GET {target}") as connection:
        status = until(connection, b"\r\n").split()[1]
    assert status in (b"404", b"400")  # 400 is the server's own, for what is no path
    assert application.seen == []


def test_a_websocket_is_refused_at_its_handshake(application: Application, port: int) -> None:
    upgrade = "GET /v1/realtime HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13"
    key = f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer {KEY}"
    with socket.create_connection(("127.0.0.1", port), 20) as connection:
        connection.sendall(f"{upgrade}\r\nHost: node\r\n{key}\r\n\r\n".encode())
        status = until(connection, b"\r\n").split()[1]
    application.release.set()
    assert status != b"101"


def test_a_refused_request_with_a_body_leaves_the_connection_for_the_next(application: Application, port: int) -> None:
    application.release.set()
    with socket.create_connection(("127.0.0.1", port), 20) as connection:
        connection.sendall(b"POST /invocations HTTP/1.1\r\nHost: node\r\nContent-Length: 4\r\n\r\nbody")
        assert b"404 Not Found" in until(connection, b"}}")
        connection.sendall(f"GET /v1/next HTTP/1.1\r\nHost: node\r\nAuthorization: Bearer {KEY}\r\n\r\n".encode())
        assert b"data: last" in until(connection, b"data: last")
    assert application.seen == ["/v1/next"]
