"""Keys and certificates change while clients ask, and no client notices."""

from __future__ import annotations

import json
import shutil
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.checkout import Checkout
from tests.support.eventually import eventually

EVERY_S = 0.5


@contextmanager
def asking(url: str, model: str, *keys: str) -> Iterator[list[str]]:
    """One request with each key in turn, twice a second, until the block is left; what answered: "200 by a"."""
    answers: list[str] = []
    stop = threading.Event()

    def ask(key: str) -> str:
        body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 4}).encode()
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        try:
            request = urllib.request.Request(f"{url}/v1/chat/completions", body, headers)
            with urllib.request.urlopen(request, timeout=60) as answer:
                return f"{answer.status} by {answer.headers['X-Served-By']}"
        except urllib.error.HTTPError as e:
            return f"{e.code} by {e.headers['X-Served-By']}"
        except OSError as e:
            return f"{type(e).__name__}: {e}"

    def client() -> None:
        while not stop.wait(EVERY_S):
            answers.extend(ask(key) for key in keys)

    thread = threading.Thread(target=client)
    thread.start()
    try:
        yield answers
    finally:
        stop.set()
        thread.join(timeout=90)


@contextmanager
def unwritable(file: Path) -> Iterator[None]:
    """Nobody can put a file in its place, root neither."""
    aside = file.with_suffix(".aside")
    file.rename(aside)
    (file / "in the way").mkdir(parents=True)
    try:
        yield
    finally:
        shutil.rmtree(file)
        aside.rename(file)


SERVED = {"200 by a", "200 by b"}


def test_each_answer_is_a_nodes_through_a_whole_rotation_and_a_stopped_one(clone: Checkout) -> None:
    """Audit 8: nodes got new keys one after the other and the gateway last, so that each was out until then, and old
    endpoint keys died at once."""
    clone.up()
    url, model = clone.outputs()["endpoint"], clone.outputs()["model"]
    former = clone.outputs()["endpointKey"]

    # Stopped in the middle: the gateway has changed and node b cannot.
    clone.configure({"credentialsGeneration": 2})
    with asking(url, model, former) as answers:
        with unwritable(Path(clone.machines["b"].root) / "tls" / "ca.pem"):
            said = clone.up(fails=True)
    assert set(answers) == SERVED, (answers, said)

    # And brought to its end.
    newest = clone.outputs()["endpointKey"]
    assert newest != former
    with asking(url, model, former, newest) as answers:
        said = clone.up()
    assert set(answers) == SERVED, (answers, said)

    clone.configure({"credentialsRetired": 1})
    with asking(url, model, newest) as answers:
        said = clone.up()
    assert set(answers) == SERVED, (answers, said)
    with asking(url, model, former) as answers:
        eventually(lambda: bool(answers), "an answer")
    assert {answer.split()[0] for answer in answers} == {"401"}
