"""`crossover smoke` believes who answered, and not that somebody did."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from scripts.crossover.commands.smoke import SmokeCheck, run
from scripts.crossover.stack.state import Outputs


@dataclass
class Endpoint:
    """Answers everything, in the name of `served_by`."""

    port: int = 0
    served_by: str | None = "a"

    def checks(self) -> dict[str, SmokeCheck]:
        address = f"127.0.0.1:{self.port}"
        outputs = Outputs(f"http://{address}", (address,), "", "key", "llama-70b", (), "", "")
        return {check.name: check for check in run(outputs)}


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    made = Endpoint()

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            whole = {"model": asked["model"], "usage": {"completion_tokens": 3}, "id": "1"}
            piece = {"choices": [{"delta": {"content": "one"}}]}
            body = f"data: {json.dumps(piece)}\n\ndata: [DONE]\n\n" if asked["stream"] else json.dumps(whole)
            self.send_response(200)
            if made.served_by is not None:
                self.send_header("X-Served-By", made.served_by)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    made.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield made
    server.shutdown()
    server.server_close()


def test_a_node_that_answers_is_named(endpoint: Endpoint) -> None:
    checks = endpoint.checks()
    assert all(check.ok and "node a" in check.detail for check in checks.values())
    assert set(checks) == {"completion", "stream"}


@pytest.mark.parametrize("served_by", ["litellm", "spill", None])
def test_an_answer_of_the_fallback_is_no_nodes(endpoint: Endpoint, served_by: str | None) -> None:
    """Endpoint: 3.5 SIGSTOP both: smoke: all PASS, "16 tokens from llama-70b", exit 0."""
    endpoint.served_by = served_by
    assert [check.ok for check in endpoint.checks().values()] == [False, False]
