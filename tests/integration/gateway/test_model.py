"""Whose model a request asks for, whatever its body looks like: no self-hosted name is answered by a paid model because
it could not be read. The nodes serve up to 131,072 tokens, and the gateway's buffer follows.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.gateway.conftest import FAST_NODE, Gateway, GatewayMaker
from tests.integration.gateway.harness import KEY, MANAGED, SERVED, Answer, ask, chat, connect, wait_for

LONG = ("--max-model-len", "131072", "--sim-context-tokens", "1M", "--sim-kv-cache-tokens", "2M")
MAX_MODEL_LEN = 131_072
BUFFER_BYTES = 8 * MAX_MODEL_LEN


@pytest.fixture(scope="module")
def gateway(make_module_gateway: GatewayMaker) -> Gateway:
    """With a fallback, which would be paid; nothing is there in its place, and its sessions are counted."""
    return make_module_gateway(nodes={"a": (*FAST_NODE, *LONG)}, fallback=MANAGED, max_model_len=MAX_MODEL_LEN)


@pytest.fixture(autouse=True)
def unpaid(gateway: Gateway) -> Iterator[None]:
    yield
    assert gateway.metric("haproxy_backend_sessions_total", proxy="litellm") == 0


def nested(depth: int) -> object:
    return {"a": nested(depth - 1)} if depth else 1


def behind(first: object, model: object = SERVED) -> bytes:
    """A body as openai-py writes it: the model behind the rest."""
    return json.dumps({"messages": [{"role": "user", "content": "x"}], "tools": first, "model": model}).encode()


def words(count: int, word: str = "word ") -> bytes:
    return json.dumps(
        {"messages": [{"role": "user", "content": word * count}], "model": SERVED, "max_tokens": 1}
    ).encode()


def refused(answer: Answer) -> tuple[int, str]:
    assert set(answer.json["error"]) == {"message", "type", "param", "code"}
    return answer.status, answer.json["error"]["code"]


@pytest.mark.parametrize(
    "body",
    [
        words(80_000),
        words(60_000, "\u4e2d"),
        words(120_000, 'a"\\b '),
    ],
    ids=["400 kB of English", "CJK as \\uXXXX, 360 kB", "quotes and backslashes"],
)
def test_a_long_context_reaches_its_node_with_the_model_behind_the_messages(gateway: Gateway, body: bytes) -> None:
    """Endpoint: model last, body ≥ 255 KiB (openai-py, langchain, pydantic-ai always write it behind messages)."""
    assert 255 * 1024 < len(body) < BUFFER_BYTES
    answer = gateway.ask(body)
    assert answer.served_by == "a", answer.body


@pytest.mark.parametrize("depth", [19, 20, 200, 20_000])
def test_nesting_hides_no_model(gateway: Gateway, depth: int) -> None:
    """Endpoint: nesting ≥ 20 before model (a 9-level JSON schema is enough)."""
    deep = b'{"a":[' * depth + b"1" + b"]}" * depth
    answer = gateway.ask(b'{"tools": ' + deep + b', "model": "' + SERVED.encode() + b'"}')
    assert answer.served_by == "a", answer.body


def test_a_model_that_the_buffer_does_not_hold_is_refused_with_what_to_do(gateway: Gateway) -> None:
    """Endpoint: model last, body ≥ 255 KiB: beyond the buffer it is 413, with a length and in chunks."""
    body = words(BUFFER_BYTES // 5)
    answer = gateway.ask(body)
    assert refused(answer) == (413, "request_too_large")
    assert str(BUFFER_BYTES) in answer.json["error"]["message"]
    assert "bufferBytes" in answer.json["error"]["message"]
    connection = connect(gateway.port)
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    pieces = (body[at : at + 65536] for at in range(0, len(body), 65536))
    with suppress(BrokenPipeError, ConnectionResetError):  # it had read enough
        connection.request("POST", "/v1/chat/completions", pieces, headers, encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()


def test_beyond_the_buffer_a_model_that_stands_first_is_read(gateway: Gateway) -> None:
    body = json.dumps(chat(content="word " * (BUFFER_BYTES // 4), max_tokens=1)).encode()
    assert len(body) > BUFFER_BYTES
    assert gateway.ask(body).served_by == "a"  # which says that it is too long


@pytest.mark.parametrize(
    "body",
    [
        b'{"mode\\u006c": "llama-70b", "messages": []}',
        b'{"\\u006dodel": "l\\u006cama-70b"}',
        b' \r\n\t{ "x" : [ "}" , {"]": "\\\\"} ] ,"y":-1.5e3,"z":null , "model" : "llama-70b" } \n',
        behind({"model": MANAGED}),
        behind([{"model": MANAGED}, '"model": "' + MANAGED + '"']),
        behind(nested(3)),
    ],
    ids=["escaped key", "escaped key and name", "spaces", "a model within", "a model in a text", "nested"],
)
def test_what_json_means_is_what_is_read(gateway: Gateway, body: bytes) -> None:
    """Endpoint: key escaped mode\\u006c; model escaped; leading whitespace; a model's name elsewhere in the body."""
    answer = gateway.ask(body)
    assert answer.served_by == "a", answer.body


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"this is no json",
        b"[]",
        b'[{"model": "llama-70b"}]',
        b'"llama-70b"',
        b'{"model": "llama-70b"} and more',
        b'{"model": "llama-70b", "model": "' + MANAGED.encode() + b'"}',
        b'{"model": "' + MANAGED.encode() + b'", "mode\\u006c": "llama-70b"}',
        b'{"model": ["llama-70b"]}',
        b'{"model": {"model": "llama-70b"}}',
        b'{"model": 1}',
        b'{"model": null}',
        b'{"model": true}',
        b'{"model": "llama\\n70b"}',
        b'{"messages": "llama-70b',
        b"model=llama-70b&messages=x",
        b"\xef\xbb\xbf" + json.dumps(chat()).encode(),
        json.dumps(chat()).encode("utf-16"),
    ],
)
def test_a_body_whose_model_cannot_be_known_is_400_with_what_to_do(gateway: Gateway, body: bytes) -> None:
    """Endpoint: JSON array as body; BOM, UTF-16, empty, not JSON, form; duplicate model keys; model 1 / true / list /
    dict; model null, missing."""
    answer = gateway.ask(body)
    assert refused(answer) == (400, "model_unreadable")
    assert "`model`" in answer.json["error"]["message"]


def test_a_compressed_body_is_refused_as_such(gateway: Gateway) -> None:
    """Endpoint: gzip unclear."""
    path, headers = "/v1/chat/completions", {"Content-Encoding": "gzip"}
    answer = ask(gateway.port, "POST", path, gzip.compress(json.dumps(chat()).encode()), headers=headers)
    assert refused(answer) == (400, "encoding_unsupported")


@pytest.mark.parametrize("name", ["", "Llama-70b", " llama-70b", "meta/llama-70b", 'a"b\\c', "%[src]", "x" * 500])
def test_a_name_that_is_not_served_is_404_and_is_told(gateway: Gateway, name: str) -> None:
    """Endpoint: unknown model: 404 expected."""
    answer = gateway.ask(chat(name))
    assert refused(answer) == (404, "model_not_found")
    assert name in answer.json["error"]["message"]


def test_no_name_writes_a_line_of_the_log_and_no_query_stands_there(gateway: Gateway) -> None:
    """Endpoint: model with "\\n" in it forged a second line; ?api_key=: the URL with the key stands in haproxy.log."""
    gateway.ask(chat("x\nforged \x1b[31m"))
    gateway.ask(chat("it-is-in-the-log"), path="/v1/chat/completions?api_key=sk-in-a-query")
    haproxy = gateway.machine.processes["haproxy"]
    # The line comes after the answer.
    log = wait_for("the request's line", lambda: text if "it-is-in-the-log" in (text := haproxy.output()) else None)
    assert "forged" not in log
    assert "sk-in-a-query" not in log


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS | st.just("model"), inner, max_size=3),
    max_leaves=12,
)
PAIRS = st.lists(st.tuples(st.just("model") | TEXTS, TEXTS | VALUES), max_size=5)
SPACES = st.text(" \t\r\n", max_size=3)


@given(PAIRS, SPACES, st.booleans(), st.integers(0, 5))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_it_reads_what_python_reads(
    gateway: Gateway, pairs: list[tuple[str, object]], space: str, ascii_only: bool, escaped: int
) -> None:
    """A body of those keys and values, as they come, is of the one model that it names, else of none."""

    def text(key: str) -> str:
        plain = json.dumps(key, ensure_ascii=ascii_only)
        return plain.replace("m", "\\u006d", 1) if escaped == 0 else plain  # as JSON may write it too

    items = [f"{space}{text(k)}{space}:{space}{json.dumps(v, ensure_ascii=ascii_only)}" for k, v in pairs]
    body = f"{space}{{{f'{space},'.join(items)}{space}}}{space}"
    found = [v for k, v in json.loads(body, object_pairs_hook=list) if k == "model"]
    name = found[0] if len(found) == 1 else None
    answer = gateway.ask(body.encode())
    if isinstance(name, str) and not any(ord(c) < 32 or ord(c) == 127 for c in name):
        assert refused(answer) == (404, "model_not_found")
        # HAProxy's `json` shows no code point that is none for it, like U+FFFE, and none beyond U+FFFF.
        shown = name.isprintable() and all(ord(c) <= 0xFFFF for c in name)
        assert name in answer.json["error"]["message"] or not shown
    else:
        assert refused(answer) == (400, "model_unreadable")
