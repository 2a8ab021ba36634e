"""Weights come onto a real machine (sshd on loopback) from a strict hub, by the installer."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from images.bundle import Weights
from images.remote.errors import RemoteError
from images.weights.onto import WeightsFailed
from images.weights.settings import SECRET
from tests.integration.images.conftest import Bench, tiny_bundle
from tests.support.eventually import eventually
from tests.support.hub import COMMIT, Fault, LocalHub, Repository, local_hub

MODEL, TOKEN = "org/tiny", "hf_0123456789abcdefghij"
FILES = {"config.json": b"{}", **{f"model-{i}.safetensors": random.Random(i).randbytes(300_000) for i in range(4)}}


@pytest.fixture
def hub() -> Iterator[LocalHub]:
    with local_hub() as made:
        made.repositories[MODEL] = Repository(dict(FILES), gated=True)
        made.tokens = {TOKEN: True}
        yield made


@pytest.fixture
def weights(hub: LocalHub) -> Weights:
    return Weights("hf", MODEL, MODEL, COMMIT, secret=SECRET, endpoint=hub.endpoint, stall_s=5, deadline_s=60)


def closed(bench: Bench, weights: Weights) -> Bench:
    """With the token among what is delivered."""
    bench.secrets |= {SECRET: TOKEN} if weights.secret else {}
    return bench


def install(bench: Bench, weights: Weights) -> str:
    """What was found."""
    made = tiny_bundle()
    bundle = replace(made, weights=weights, secrets=(*made.secrets, *([weights.secret] if weights.secret else [])))
    return bench.install(bundle).found["weights"]


def there(bench: Bench, weights: Weights) -> dict[str, bytes]:
    folder = Path(bench.host.weights) / weights.folder.rpartition("/")[2]
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_weights_are_there_before_a_service_starts_and_the_second_time_nobody_is_asked(
    bench: Bench, hub: LocalHub, weights: Weights
) -> None:
    assert install(closed(bench, weights), weights) == f"{MODEL}@{COMMIT}, 0.0 GiB, verified"
    assert there(bench, weights) == FILES
    asked = hub.asked.copy()
    install(bench, weights)
    assert hub.asked == asked
    assert any("weights: fetching 5 of 5 files" in line for line in bench.said)


def test_the_token_is_a_file_for_its_owner_and_nowhere_else(bench: Bench, hub: LocalHub, weights: Weights) -> None:
    """Not in an argument or a variable of a process while it fetches, not in what is said, not in another file."""
    seen: list[str] = []
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            for process in Path("/proc").glob("[0-9]*"):
                for what in ("cmdline", "environ"):
                    try:
                        if TOKEN.encode() in (process / what).read_bytes():
                            seen.append(f"{process.name} {what}")
                    except OSError:
                        continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    hub.faults = [Fault("stall", after=1000)]
    try:
        install(closed(bench, weights), replace(weights, stall_s=2))
    finally:
        over.set()
        watcher.join()
    root = Path(bench.host.root)
    holding = [path for path in root.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]
    assert holding == [root / "secrets" / SECRET]
    assert holding[0].stat().st_mode & 0o777 == 0o600
    assert (seen, hub.leaked) == ([], [])
    assert TOKEN not in "\n".join(bench.said)


def test_a_token_that_is_not_on_the_list_is_told_and_nothing_starts(
    bench: Bench, hub: LocalHub, weights: Weights
) -> None:
    hub.tokens = {TOKEN: False}
    with pytest.raises(WeightsFailed, match="not on its list") as failed:
        install(closed(bench, weights), weights)
    assert failed.value.kind == "gate"
    assert not bench.answers("one")
    hub.tokens = {TOKEN: True}
    install(bench, weights)
    assert bench.answers("one")


@pytest.mark.parametrize("after", [0, 1000, 250_000])
def test_a_kill_in_the_middle_is_gone_on_with(bench: Bench, hub: LocalHub, weights: Weights, after: int) -> None:
    """By SIGKILL, at the first byte, in the first pieces, near the end of a file."""
    hub.faults = [Fault("stall", after=after)]
    failures: list[BaseException] = []

    def run() -> None:
        try:
            install(closed(bench, weights), replace(weights, stall_s=30))
        except RemoteError as e:
            failures.append(e)

    running = threading.Thread(target=run)
    running.start()
    try:
        eventually(lambda: not hub.faults and _fetcher(bench) is not None, "it fetches")
        process = _fetcher(bench)
        assert process is not None
        os.kill(process, signal.SIGKILL)
    finally:
        running.join(60)
    assert len(failures) == 1
    hub.sent.clear()
    install(bench, weights)
    assert there(bench, weights) == FILES


def _fetcher(bench: Bench) -> int | None:
    """The process that fetches onto that machine."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if len(words) > 1 and words[1].endswith(b".pyz") and words[1].startswith(bench.host.root.encode()):
            return int(process.name)
    return None


def test_a_look_says_what_is_missing_and_changes_nothing(bench: Bench, hub: LocalHub, weights: Weights) -> None:
    install(closed(bench, weights), weights)
    made = tiny_bundle()
    bundle = replace(made, weights=weights, secrets=(*made.secrets, SECRET))
    assert bench.inspect(bundle).healthy
    victim = Path(bench.host.weights) / weights.folder.rpartition("/")[2] / "model-1.safetensors"
    victim.write_bytes(b"spoilt")
    asked = hub.asked.copy()
    (problem,) = bench.inspect(bundle).problems
    assert "the weights of org/tiny are not all in" in problem
    assert hub.asked == asked
