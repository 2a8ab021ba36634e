"""What a client meets first: the key, the allowed paths, the list of models, errors in OpenAI's shape."""

from __future__ import annotations

import http.server
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.integration.gateway.conftest import Gateway, GatewayMaker
from tests.integration.gateway.harness import ALIAS, KEY, MANAGED, SECRETS, SERVED, ask, chat, wait_for


@pytest.fixture
def gateway(make_gateway: GatewayMaker) -> Gateway:
    return make_gateway()


def test_no_key_or_a_wrong_one_is_refused_on_every_path_with_openais_error(gateway: Gateway) -> None:
    for key in (None, "", "wrong", KEY[:-1], KEY + "x", SECRETS["vllm-api-key"], SECRETS["litellm-master-key"]):
        for path in ("/v1/chat/completions", "/v1/models", "/metrics"):
            answer = ask(gateway.port, "POST", path, chat(), key=key)
            assert answer.status == 401, (key, path)
            assert answer.json["error"]["code"] == "invalid_api_key"
            assert set(answer.json["error"]) == {"message", "type", "param", "code"}


def test_finding_22_what_a_client_sends_writes_no_line_of_the_log(gateway: Gateway) -> None:
    """Audit 22: `model` of a request was written as it came: lines, and what a terminal obeys."""
    forged = "x\n<6>127.0.0.1:1 forged\r\u001b[31m\u0007 " + "y" * 4000
    gateway.ask(chat(model=forged))
    answer = ask(gateway.port, "GET", "/v1/models?token=in-the-query%0aforged", key=KEY)
    assert answer.status == 200
    log = wait_for(
        "both in the log",
        lambda: t if (t := gateway.machine.processes["haproxy"].output()).count("/v1/models") else "",
    )
    lines = [line for line in log.splitlines() if "id=" in line]
    assert [line for line in lines if "forged" in line and "model=x" not in line] == []
    assert not set(log) & set("\x1b\x07\r")
    assert "in-the-query" not in log
    assert max(map(len, lines)) < 700


def test_every_key_of_the_file_is_accepted(gateway: Gateway) -> None:
    for key in SECRETS["endpoint-keys"].split():
        assert gateway.ask(chat(), key=key).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/metrics",
        "/invocations",
        "/score",
        "/pooling",
        "/sim/faults",
        "/v1",
        "/v1/models/",
        "/v1/chat/completions/",
        "/v1/../invocations",
        "//v1/chat/completions",
        "/v1/chat%2fcompletions",
        "/key/generate",
        "/v1/responses",
        "/ui",
    ],
)
def test_a_path_that_is_not_on_the_list_is_not_passed_on(gateway: Gateway, path: str) -> None:
    answer = ask(gateway.port, "POST", path, chat())
    assert answer.status == 404
    assert answer.json["error"]["code"] == "unknown_url"
    assert answer.served_by is None


def test_a_wrong_method_is_405(gateway: Gateway) -> None:
    assert ask(gateway.port, "GET", "/v1/chat/completions").status == 405
    assert ask(gateway.port, "POST", "/v1/models", {}).status == 405


def test_models_are_the_self_hosted_and_the_managed_ones_though_nothing_stands_behind(
    make_gateway: GatewayMaker,
) -> None:
    answer = ask(make_gateway(nodes={}).port, "GET", "/v1/models")
    assert answer.status == 200
    listed = [(m["id"], m["owned_by"]) for m in answer.json["data"]]
    assert listed == [(SERVED, "self-hosted"), (ALIAS, "self-hosted"), (MANAGED, "managed")]


def test_health_needs_no_key_and_is_503_when_nothing_can_be_answered(make_gateway: GatewayMaker) -> None:
    gateway = make_gateway(nodes={"a": ()})
    assert ask(gateway.port, "GET", "/health", key=None).status == 200
    gateway.nodes["a"].kill()
    wait_for("503 of /health", lambda: ask(gateway.port, "GET", "/health", key=None).status == 503)


def test_without_a_node_or_a_fallback_the_answer_is_503_with_retry_after(make_gateway: GatewayMaker) -> None:
    answer = make_gateway(nodes={}).ask(chat())
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert answer.json["error"]["code"] == "overloaded"


@pytest.fixture
def echo() -> Iterator[http.server.ThreadingHTTPServer]:
    """In LiteLLM's place: answers with the path and the headers that it was sent."""

    class Echo(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.do_POST()

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = [[k.lower(), v] for k, v in self.headers.items()]
            body = json.dumps({"headers": headers, "path": self.path}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("x-litellm-model-api-base", "http://inside")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_no_header_of_a_client_speaks_to_what_stands_behind(
    make_gateway: GatewayMaker, echo: http.server.ThreadingHTTPServer
) -> None:
    gateway = make_gateway(ports={"litellm": echo.server_address[1]}, nodes={})
    wait_for("litellm up", lambda: gateway.metric("haproxy_server_status", proxy="litellm", state="UP") == 1)
    smuggled = {"X-LiteLLM-Api-Key": "k", "x_litellm_api_key": "k", "X-Forwarded-For": "1.1.1.1", "Cookie": "a=b"}
    smuggled |= {"X-Request-Id": "chosen", "Api-Key": "k", "Forwarded": "for=1.1.1.1", "X-Served-By": "me"}
    path = "/v1/chat/completions"
    answer = ask(gateway.port, "POST", f"{path}?api_key=in-the-query", chat(MANAGED), headers=smuggled)
    assert answer.json["path"] == path
    received = [(k, v) for k, v in answer.json["headers"]]
    names = [k for k, _ in received]
    assert [v for k, v in received if k == "authorization"] == [f"Bearer {SECRETS['litellm-master-key']}"]
    assert not {"x-litellm-api-key", "x_litellm_api_key", "x-forwarded-for", "cookie", "api-key", "forwarded"} & {
        *names
    }
    assert names.count("x-request-id") == 1
    assert dict(received)["x-request-id"] == answer.headers["x-request-id"] != "chosen"
    assert answer.served_by == "litellm"
    assert "x-litellm-model-api-base" not in answer.headers


def raw(port: int, request: bytes, timeout_s: float = 60.0) -> str:
    """All that is answered until the connection ends, which may be before all has been sent."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout_s) as connection:
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(request)
        with suppress(ConnectionResetError):
            while part := connection.recv(65536):
                answer += part
    return answer.decode()


@pytest.mark.slow  # 30 s of waiting
def test_a_body_that_does_not_come_is_told_in_openais_shape(gateway: Gateway) -> None:
    """After 30 s. A header that does not come is another's: see below."""
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Length: 99\r\n\r\n"
    head, _, body = raw(gateway.port, f"{head}{{".encode(), 120.0).partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 408 ")
    assert "content-type: application/json" in head.lower()
    assert json.loads(body)["error"]["code"] == "request_timeout"


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (b"no line of HTTP\r\n\r\n", 400, "bad_request"),
        (b"GET /v1/models HTTP/1.1\r\nHost: x\r\nX-Long: " + b"y" * 400_000 + b"\r\n\r\n", 400, "bad_request"),
        (b"GET /v1/models HTTP/1.1\r\nHost: x\r\nX-Never: ends", 408, "request_timeout"),
    ],
    ids=["no HTTP", "headers beyond the buffer", "a header that never ends"],
)
def test_what_is_no_request_is_refused_with_its_status_and_the_connection_ends(
    gateway: Gateway, request_: bytes, status: int, code: str
) -> None:
    """HAProxy answers before it looks at its configuration: until 3.2 with a page of its own, whatever is configured
    (haproxy/haproxy#3032)."""
    head, _, body = raw(gateway.port, request_).partition("\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ")
    assert body.startswith("<html>") or json.loads(body)["error"]["code"] == code


def test_logs_hold_neither_keys_nor_prompts_nor_query_strings(gateway: Gateway) -> None:
    """HAProxy's, and that of a node, which has a line for each request."""
    gateway.wait_up(*gateway.nodes)
    gateway.ask(chat(content="a very private prompt"))
    ask(gateway.port, "POST", "/v1/chat/completions?api_key=in-the-query", chat())
    gateway.ask(chat(), key="wrong-client-key")
    log = wait_for(
        "three lines of log",
        lambda: t if (t := gateway.machine.processes["haproxy"].output()).count("POST ") >= 3 else "",
    )
    assert "model=llama-70b" in log
    nodes = [node.process for node in gateway.nodes.values() if node.process is not None]
    log += wait_for(
        "a node's line", lambda: t if "chat/completions" in (t := "".join(n.output() for n in nodes)) else ""
    )
    for secret in ("private prompt", "wrong-client-key", "in-the-query", KEY, *(s.strip() for s in SECRETS.values())):
        assert secret not in log
