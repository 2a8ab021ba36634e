"""What it takes until many nodes have a model's weights, against one: `python -m tests.bench.weights [NODES [MIB]]`.

Each node is an sshd in a network of its own, whose line carries 1 MB/s in and as much out (`tc`, a token bucket), so
that lines bound it and not this computer. The hub's line has no bound: one node fetches as fast as its line carries.
The weights are 32 files, as those of a model of 70B are 30; of 128 MiB each takes as long as 4.7 GB at 10 Gbit/s. Needs
root, `ip` and `tc`.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from images.bundle import Bundle, Weights
from images.remote.connection import Connection
from images.remote.waiting import Waiting
from images.weights import sharing
from images.weights.onto import job_of
from images.weights.siblings import Siblings, bring_among
from tests.support.hub import COMMIT, LocalHub, Repository, local_hub
from tests.support.sshd import Machine, machine, public_key

MODEL, FILES = "org/large", 32
BYTES_PER_S = 1_000_000
BRIDGE, NETWORK = "xo-weights", "10.213.7"
SSH = 2222


def main(nodes: int = 4, mib: int = 16) -> None:
    """Prints rows for the table of docs/performance.md."""
    if os.geteuid() or not all(map(shutil.which, ("ip", "tc"))):
        print("tests.bench.weights is left out: it needs root, ip and tc")
        return
    size = (mib << 20) // FILES
    files = {f"model-{i:02}.safetensors": random.Random(i).randbytes(size) for i in range(FILES)}
    with ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="xo-")))
        held.enter_context(bridge())
        hub = held.enter_context(local_hub(f"{NETWORK}.1"))
        hub.repositories[MODEL] = Repository({"config.json": b"{}", **files})
        machines = [held.enter_context(wired(folder, i)) for i in range(nodes + 1)]
        sharing.LEAST_PIECE_BYTES = 1  # these files stand for large ones
        alone = until_all_have(hub, machines[:1])
        sent = sum(hub.sent.values())
        together = until_all_have(hub, machines[1:])
        times = (sum(hub.sent.values()) - sent) / sent
    print("| What | Measured |\n|---|---|")
    print(f"| one node fetches {mib} MiB | {alone:.1f} s |")
    print(f"| {nodes} nodes have them, fetched {times:.0f} time | {together:.1f} s ({together / alone:.2f}×) |")


def until_all_have(hub: LocalHub, machines: list[Machine]) -> float:
    """Seconds."""
    key, shared = machines[0].private_key, sharing.Sharing()
    weights = Weights("hf", MODEL, MODEL, COMMIT, endpoint=hub.endpoint, stall_s=120, deadline_s=3600)

    def bring(onto: Machine) -> None:
        host = onto.host({})
        job = job_of(host, Bundle(role="bench"), weights, None)
        with Connection.open(host, key) as connection:
            bring_among(Siblings(shared, "fleet", key, list), connection, job, Waiting(3600), told)

    def told(line: str) -> None:
        if "source is asked" in line:
            print(line, flush=True)

    for each in machines:
        each.authorize(public_key(machines[0].folder / "user_key"))
    begun = time.monotonic()
    with ThreadPoolExecutor(len(machines)) as pool:
        list(pool.map(bring, machines))
    return time.monotonic() - begun


@contextmanager
def bridge() -> Iterator[None]:
    """What all lines end at. Removes itself, and those of a run that was killed."""
    undo = f"ip link del {BRIDGE}"
    subprocess.run(undo.split(), stderr=subprocess.DEVNULL)
    try:
        ip(f"link add {BRIDGE} type bridge")
        ip(f"addr add {NETWORK}.1/24 dev {BRIDGE}")
        ip(f"link set {BRIDGE} up")
        yield
    finally:
        subprocess.run(undo.split(), check=True)


@contextmanager
def wired(folder: Path, number: int) -> Iterator[Machine]:
    """A machine with a line of its own."""
    name, address = f"{BRIDGE}-{number}", f"{NETWORK}.{number + 2}"
    subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL)
    ip(f"netns add {name}")
    try:
        outer, inner = f"xow{number}", "eth0"
        ip(f"link add {outer} type veth peer name {inner} netns {name}")
        ip(f"link set {outer} master {BRIDGE} up")
        for words in ("link set lo up", f"addr add {address}/24 dev {inner}", f"link set {inner} up"):
            ip(f"-n {name} {words}")
        for where in (["tc", "qdisc", "add", "dev", outer], ["tc", "-n", name, "qdisc", "add", "dev", inner]):
            bucket = ["tbf", "rate", f"{8 * BYTES_PER_S}bit", "burst", "16kb", "latency", "200ms"]
            subprocess.run([*where, "root", *bucket], check=True)
        made = {"address": address, "ssh_port": SSH, "within": ("ip", "netns", "exec", name)}
        with machine(folder / f"m{number}", folder / "cache", **made) as running:
            yield running
    finally:
        ip(f"netns del {name}")


def ip(words: str) -> None:
    subprocess.run(["ip", *words.split()], check=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
