"""`python -m tests.bench.gateway REF`: HAProxy as this tree configures it against that of a commit, in turn.

Both stand in front of the same two nodes, a third HAProxy that speaks TLS and answers at once. CPU is the proxy's own
(schedstat): it says more than requests a second where client, proxy and nodes share the cores. Prints the rows "The
gateway" of docs/performance.md. Needs haproxy.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from tests.support.checkout import REPOSITORY
from tests.support.credentials import Made
from tests.support.eventually import eventually
from tests.support.ports import free_ports

ROUNDS, REQUESTS, CLIENTS = 7, 1600, 4
NAMES = {key: f"{key}.nodes.crossover.internal" for key in "ab"}
KEY = "sk-bench-0123456789"
PROGRAM = """
import sys
from images.engines import vllm
from images.roles.gateway.haproxy import render_haproxy
from images.roles.gateway.settings import GatewaySettings, Peer
peers = [Peer(key=k, address="127.0.0.1", port=int(p), server_name=f"{k}.nodes.crossover.internal")
         for k, p in zip("ab", sys.argv[1:])]
settings = GatewaySettings.model_validate({"managed": [{"name": "m", "model": "openai/m"}], "fallback": "m"})
print(render_haproxy(settings, ["llama-70b"], vllm.ENGINE, peers))
"""
NODES = """
global
    maxconn 4096
    tune.bufsize 1048576
defaults
    mode http
    timeout client 60s
    timeout server 60s
    timeout connect 5s
frontend nodes
    bind 127.0.0.1:{a} ssl crt {folder}/a.pem
    bind 127.0.0.1:{b} ssl crt {folder}/b.pem
    http-request wait-for-body time 10s
    http-request return status 200 content-type application/json string '{{"choices": []}}'
"""


def body(size_bytes: int) -> bytes:
    """With the model behind the messages."""
    return json.dumps({"messages": [{"role": "user", "content": "x" * size_bytes}], "model": "llama-70b"}).encode()


CELLS = {
    "2 KB, kept connections": (body(2_048), False),
    "2 KB, a connection each": (body(2_048), True),
    "100 KB, kept connections": (body(102_400), False),
}


def main(ref: str) -> None:
    """Prints a row for each of CELLS."""
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="xo-")))
        before = folder / "before"
        git("worktree", "add", "--quiet", "--detach", str(before), ref)
        running.callback(git, "worktree", "remove", "--force", str(before))
        ports = free_ports(("a", "b", "old", "new", *"12345678"))
        nodes(folder, ports, running)
        proxies = {
            name: running.enter_context(proxy(tree, folder / name, ports, name))
            for name, tree in (("old", before), ("new", REPOSITORY))
        }
        print(f"\n| What | At {ref} | Now | Ratio |\n|---|---|---|---|")
        for what, (sent, fresh) in CELLS.items():
            found: dict[str, list[tuple[float, float]]] = {name: [] for name in proxies}
            for _ in range(ROUNDS + 1):
                for name, process in proxies.items():
                    found[name].append(measured(process.pid, ports[name], sent, fresh))
            for index, unit in enumerate(("CPU ms per 1,000 requests", "requests a second")):
                old, new = (statistics.median(row[index] for row in found[name][1:]) for name in ("old", "new"))
                print(f"| {what}: {unit} | {old:,.0f} | {new:,.0f} | {new / old:.2f} |", flush=True)


def git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=REPOSITORY, check=True)


def nodes(folder: Path, ports: Mapping[str, int], running: ExitStack) -> None:
    """Two that answer at once."""
    made = Made.of(*NAMES.values())
    for key, name in NAMES.items():
        (folder / f"{key}.pem").write_text("".join(made.pair(name)))
    for name, text in {"ca.pem": made.ca, "client.pem": made.client, "endpoint-keys": f"{KEY}\n"}.items():
        (folder / name).write_text(text)
    (folder / "nodes.cfg").write_text(NODES.format(folder=folder, **ports))
    running.enter_context(haproxy(folder, "nodes.cfg", ports["a"]))


@contextmanager
def proxy(tree: Path, folder: Path, ports: Mapping[str, int], name: str) -> Iterator[subprocess.Popen[bytes]]:
    """A HAProxy of the file that `tree` renders."""
    command = [sys.executable, "-c", PROGRAM, str(ports["a"]), str(ports["b"])]
    text = subprocess.check_output(command, cwd=tree, env={**os.environ, "PYTHONPATH": str(tree)}, text=True)
    for part in ("run", "bin"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for file in (tree / "images/roles/gateway").glob("*.lua"):
        (folder / "bin" / file.name).write_bytes(file.read_bytes())
    others = iter("1234" if name == "old" else "5678")
    text = text.replace("@PORT:endpoint@", str(ports[name])).replace("@BIND@", "127.0.0.1")
    text = re.sub("@SECRET:([^@]+)@", rf"{folder.parent}/\1", text).replace("@ROOT@/tls", str(folder.parent))
    text = text.replace("@ROOT@", str(folder))
    for port in dict.fromkeys(re.findall("@PORT:[^@]+@", text)):
        text = text.replace(port, str(ports[next(others)]))
    (folder / "haproxy.cfg").write_text(text)
    with haproxy(folder, "haproxy.cfg", ports[name]) as process:
        yield process


@contextmanager
def haproxy(folder: Path, file: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    variables = {"VLLM_API_KEY": "v", "LITELLM_MASTER_KEY": "m", "PATH": f"{os.environ['PATH']}:/usr/sbin"}
    command = ["haproxy", "-db", "-f", str(folder / file)]
    with (folder / f"{file}.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=variables, stdout=log, stderr=log)
    try:
        eventually(partial(listens, port), f"{file} listens")
        yield process
    finally:
        process.kill()
        process.wait()


def listens(port: int) -> bool:
    """Whether anything does."""
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def cpu_ms(pid: int) -> float:
    """Of all threads until now."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e6


def measured(pid: int, port: int, sent: bytes, fresh: bool) -> tuple[float, float]:
    """CPU ms per 1,000 requests, and requests a second."""
    used, began = cpu_ms(pid), time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(lambda _: client(port, sent, fresh), range(CLIENTS)))
    return (cpu_ms(pid) - used) / REQUESTS * 1000, REQUESTS / (time.perf_counter() - began)


def client(port: int, sent: bytes, fresh: bool) -> None:
    """Its share of REQUESTS, one after the other."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    for _ in range(REQUESTS // CLIENTS):
        connection.request("POST", "/v1/chat/completions", sent, headers)
        response = connection.getresponse()
        assert (response.status, bool(response.read())) == (200, True)
        if fresh:
            connection.close()
    connection.close()


if __name__ == "__main__":
    main(sys.argv[1])
