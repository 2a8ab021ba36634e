"""What a node's door costs a request: /v1/models with TLS, client certificate and guard, and without.

    .venv/bin/python -m tests.bench.closing .venv/bin/python -m images.simulator serve tiny
    .venv/bin/python -m tests.bench.closing vllm serve /models/tiny --enforce-eager

The words start the server; the bench adds port, key and door. Both run at once and are asked in turn, each on one
connection that is kept, so that what else the computer does meets both. On a busy one the tenth percentile says more.
"""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from images.roles.inference.bundle import GUARD
from images.roles.inference.node.guard import KEY_VARIABLE
from images.sources import REPOSITORY
from tests.support.credentials import Made
from tests.support.eventually import eventually

KEY = "sk-bench-0123456789"
NAME = "bench.nodes.crossover.internal"
REQUESTS = 3000
START_S = 600
"""A real vLLM compiles first."""


def main(command: Sequence[str]) -> None:
    """Prints both and their difference."""
    made = Made.of(NAME)
    context = made.context(made.client)
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
        plain_port = running.enter_context(serving(command, [], folder))
        closed_port = running.enter_context(serving(command, door(made, folder), folder))
        plain = http.client.HTTPConnection("127.0.0.1", plain_port, timeout=30)
        closed = http.client.HTTPSConnection("127.0.0.1", closed_port, timeout=30, context=context)
        for connection in (plain, closed):
            eventually(partial(answers, connection), "the server serves", START_S)
        times = [(milliseconds(plain), milliseconds(closed)) for _ in range(REQUESTS)]
    without, with_door = (sorted(column) for column in zip(*times, strict=True))
    print("| /v1/models, ms | tenth percentile | p50 |\n|---|---|---|")
    for what, found in {"plain, with the key": without, "TLS, client certificate, guard": with_door}.items():
        print(f"| {what} | {_share(found, 10):.2f} | {_share(found, 50):.2f} |")
    more = [_share(with_door, percent) - _share(without, percent) for percent in (10, 50)]
    print(f"| difference | {more[0]:.2f} | {more[1]:.2f} |")


def _share(ordered: Sequence[float], percent: int) -> float:
    return ordered[len(ordered) * percent // 100]


def door(made: Made, folder: Path) -> list[str]:
    """The flags of a node that is closed, as `images.engines.vllm` writes them."""
    certificate, key = made.pair(NAME)
    for name, text in {"crt": certificate, "key": key, "ca": made.ca}.items():
        (folder / name).write_text(text)
    (folder / GUARD.partition(".")[0]).symlink_to(REPOSITORY / "images/roles/inference/node")
    files = ["--ssl-certfile", str(folder / "crt"), "--ssl-keyfile", str(folder / "key")]
    return [*files, "--ssl-ca-certs", str(folder / "ca"), "--ssl-cert-reqs", "2", "--middleware", GUARD]


@contextmanager
def serving(command: Sequence[str], flags: Sequence[str], folder: Path) -> Iterator[int]:
    """The port of a server that the command starts, which may still be loading."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = int(s.getsockname()[1])
    paths = os.pathsep.join((str(folder), str(REPOSITORY), os.environ.get("PYTHONPATH", "")))
    process = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port), *flags],
        env={**os.environ, KEY_VARIABLE: KEY, "PYTHONPATH": paths},
        stdout=subprocess.DEVNULL,
    )
    try:
        yield port
    finally:
        process.terminate()
        process.wait(60)


def ask(connection: http.client.HTTPConnection) -> int:
    """The status; the connection is kept."""
    connection.request("GET", "/v1/models", headers={"Authorization": f"Bearer {KEY}"})
    response = connection.getresponse()
    response.read()
    return response.status


def answers(connection: http.client.HTTPConnection) -> bool:
    """Whether it serves yet."""
    try:
        return ask(connection) == 200
    except OSError:
        connection.close()
        return False


def milliseconds(connection: http.client.HTTPConnection) -> float:
    """Of one request."""
    began = time.perf_counter()
    assert ask(connection) == 200
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    main(sys.argv[1:])
