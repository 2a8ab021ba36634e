"""Runs on the gateway's machine: `route.py NODE LIMIT_S` takes a node out of HAProxy's rotation until its stdin ends.

It waits until the node has finished what it had begun, at most LIMIT_S seconds, says so in one line, and then holds the
node out for as long as whoever called stays connected: a caller that dies gives the node back. A HAProxy that is
reloaded meanwhile, and takes all nodes in again, is told anew. A caller whose node serves again writes a word before it
ends stdin: then the program also waits until HAProxy's checks have seen the node, and says so where they do not see it
within BACK_S.

`route.py --shows SECRET` says whether HAProxy, as it runs now, shows nodes that certificate: "yes", "no", or "silent"
where none runs. Standard library only.
"""

from __future__ import annotations

import contextlib
import csv
import os
import select
import socket
import sys
import time
from pathlib import Path

BACKEND = "vllm"
SOCKET = "run/haproxy.sock"
"""Relative to the machine's root, the folder above this file's: the path of a socket ends at 108 bytes."""
POLL_S = 0.2
HOLD_S = 0.2
"""So long may a reloaded HAProxy send clients to a node that is held out."""
BACK_S = 20.0
"""A node that was down must pass two checks. Each begins a second after the former and may take 8 s by default."""


def ask(command: str) -> str:
    """HAProxy's answer to one command of its runtime API."""
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(SOCKET)
        s.sendall(f"{command}\n".encode())
        return b"".join(iter(lambda: s.recv(65536), b"")).decode().strip()


def known_of(node: str) -> list[dict[str, str]]:
    """HAProxy's row of the node; none where it has no such node."""
    rows = csv.DictReader(ask(f"show stat {BACKEND} 4 -1").removeprefix("# ").splitlines())
    return [row for row in rows if row["svname"] == node]


def requests_on(node: str) -> int:
    """Requests that the node has not finished."""
    return sum(int(row["scur"]) for row in known_of(node))


def drain(node: str, limit_s: float) -> str:
    """Says how it went."""
    if refused := ask(f"set server {BACKEND}/{node} state drain"):
        return f"{node} is not in the gateway's rotation ({refused})"
    began = time.monotonic()
    while left := requests_on(node):
        if time.monotonic() - began > limit_s:
            return f"{node} is out of rotation with {left} requests unfinished after {limit_s:g} s"
        time.sleep(POLL_S)
    return f"{node} is out of rotation, all its requests finished"


def hold(node: str) -> bool:
    """Until stdin ends. Whether the node serves again, by who called."""
    while not select.select([sys.stdin], [], [], HOLD_S)[0]:
        with contextlib.suppress(OSError):  # one that is being started again is told the next time
            ask(f"set server {BACKEND}/{node} state drain")
    return bool(sys.stdin.buffer.read())


def await_back(node: str) -> str:
    """Until HAProxy sends requests to the node, or for BACK_S. Says what is wrong; empty where nothing is."""
    end = time.monotonic() + BACK_S
    while time.monotonic() < end:
        with contextlib.suppress(OSError):  # one that is being started again is asked the next time
            if not any(row["status"].startswith("DOWN") for row in known_of(node)):
                return ""
        time.sleep(POLL_S)
    return f"{node} serves again, and after {BACK_S:g} s the gateway still sends it no requests"


def shows(secret: str) -> str:
    """Asked of HAProxy and not of the disk: after a reload it is its new worker that answers."""
    try:
        names = ask("show ssl cert").splitlines()
    except OSError:
        return "silent"
    return "yes" if any(name.endswith(f"/secrets/{secret}") for name in names) else "no"


if __name__ == "__main__":
    os.chdir(Path(__file__).resolve().parents[1])
    if sys.argv[1] == "--shows":
        sys.exit(print(shows(sys.argv[2])))
    serves = False
    try:
        print(drain(sys.argv[1], float(sys.argv[2])), flush=True)
        serves = hold(sys.argv[1])
    finally:  # also where the caller died meanwhile, and its pipe with it
        ask(f"set server {BACKEND}/{sys.argv[1]} state ready")
    if serves and (wrong := await_back(sys.argv[1])):
        print(wrong, flush=True)
