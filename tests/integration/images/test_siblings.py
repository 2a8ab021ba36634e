"""Nodes take weights from one another, between real sshds; the source is a strict hub that counts."""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from images.bundle import Weights
from images.remote.connection import Connection
from images.remote.errors import RemoteError
from images.remote.host import Host
from images.remote.waiting import Waiting
from images.weights import sharing, siblings
from images.weights.holders import Holder, Piece
from images.weights.onto import Brought, WeightsFailed, job_of
from images.weights.sharing import Group, Sharing
from images.weights.siblings import Siblings, bring_among
from tests.integration.images.conftest import tiny_bundle
from tests.support.eventually import eventually
from tests.support.hub import COMMIT, Fault, LocalHub, Repository, local_hub
from tests.support.sshd import Machine, machine, public_key

MODEL = "org/tiny"
FILES = {"config.json": b"{}", **{f"model-{i}.safetensors": random.Random(i).randbytes(300_000) for i in range(4)}}
SIZE = sum(map(len, FILES.values()))


@dataclass
class Room:
    """Machines that know one key, and a hub."""

    hub: LocalHub
    machines: list[Machine]
    said: list[str] = field(default_factory=list)
    sharing: Sharing = field(default_factory=Sharing)
    volume: str = ""

    @property
    def key(self) -> str:
        return self.machines[0].private_key

    def host(self, i: int) -> Host:
        return self.machines[i].host({}, weights_root=self.volume)

    def job(self, i: int, **changes: Any) -> dict[str, Any]:
        weights = Weights("hf", MODEL, MODEL, COMMIT, endpoint=self.hub.endpoint, stall_s=5, deadline_s=60)
        return {**job_of(self.host(i), tiny_bundle(), replace(weights, **changes), None), "pause_s": 0.01}

    def bring(
        self, i: int, find: tuple[int, ...] = (), cancelled: Callable[[], bool] = lambda: False, **changes: Any
    ) -> Brought:
        others = Siblings(self.sharing, "fleet", self.key, lambda: [self.host(j) for j in find])
        with Connection.open(self.host(i), self.key) as connection:
            return bring_among(others, connection, self.job(i, **changes), Waiting(90, cancelled), self.said.append)

    def there(self, i: int) -> dict[str, bytes]:
        folder = Path(self.job(i)["folder"])
        assert not Path(f"{folder}.incoming").exists()
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    def group(self) -> Group:
        """All of its machines want the same."""
        job = self.job(0)
        return self.sharing.group(
            json.dumps(["fleet", *(job[key] for key in ("kind", "place", "model", "revision", "record"))])
        )

    def lets_in(self, i: int) -> str:
        return (self.machines[i].folder / "authorized_keys").read_text()


def at_once(room: Room, *machines: int) -> list[Brought]:
    """Onto these machines."""
    with ThreadPoolExecutor(len(machines)) as pool:
        return list(pool.map(room.bring, machines))


@pytest.fixture
def new_room(short_path: Path) -> Iterator[Callable[[int], Room]]:
    with contextlib.ExitStack() as stack:

        def make(count: int) -> Room:
            hub = stack.enter_context(local_hub())
            hub.repositories[MODEL] = Repository(dict(FILES))
            machines = [stack.enter_context(machine(short_path / f"m{i}", short_path / "cache")) for i in range(count)]
            for each in machines:
                each.authorize(public_key(machines[0].folder / "user_key"))
            return Room(hub, machines)

        yield make


def test_one_fetches_and_the_others_copy_from_it(new_room: Callable[[int], Room]) -> None:
    """At once: each byte comes from the hub a single time, and no key of the copying stays."""
    room = new_room(4)
    before = [room.lets_in(i) for i in range(4)]
    brought = at_once(room, 0, 1, 2, 3)
    assert sorted(each.fetched_bytes for each in brought) == [0, 0, 0, SIZE]
    assert all(each.verified for each in brought)
    assert all(room.there(i) == FILES for i in range(4))
    assert sum(room.hub.sent.values()) == SIZE
    assert [room.lets_in(i) for i in range(4)] == before


def test_who_has_a_part_gives_it_on(new_room: Callable[[int], Room], monkeypatch: pytest.MonkeyPatch) -> None:
    """File by file and one copy a machine at once: not all come from the one that has fetched, and all come once."""
    room = new_room(4)
    room.bring(0)
    monkeypatch.setattr(sharing, "LEAST_PIECE_BYTES", 1)
    monkeypatch.setattr(sharing, "GIVES", 1)
    before = [room.lets_in(i) for i in range(4)]
    copied = copies(monkeypatch, lambda: None)
    at_once(room, 1, 2, 3)
    assert all(room.there(i) == FILES for i in range(4))
    assert sum(room.hub.sent.values()) == SIZE
    assert len({(who, piece) for who, _, piece in copied}) == len(copied) == 3 * len(FILES)
    assert {giver for _, giver, _ in copied} > {room.machines[0].ssh_port}
    assert [room.lets_in(i) for i in range(4)] == before


def copies(monkeypatch: pytest.MonkeyPatch, seen: Callable[[], None]) -> list[tuple[int, int, Piece]]:
    """Who has copied which piece, by its port, and from whom; `seen` is called after each."""
    copied: list[tuple[int, int, Piece]] = []
    once = siblings._once

    def counted(holder: Holder, piece: Piece, files: Any, mine: Holder, *rest: Any) -> None:
        once(holder, piece, files, mine, *rest)
        copied.append((mine.host.ssh_port, holder.host.ssh_port, piece))
        seen()

    monkeypatch.setattr(siblings, "_once", counted)
    return copied


def test_what_has_come_is_copied_while_the_rest_is_fetched(
    new_room: Callable[[int], Room], monkeypatch: pytest.MonkeyPatch
) -> None:
    room = new_room(2)
    monkeypatch.setattr(sharing, "LEAST_PIECE_BYTES", 1)
    room.hub.faults = [Fault("stall", after=1000)]  # a file's rest comes after 15 s
    sent: list[int] = []
    copies(monkeypatch, lambda: sent.append(sum(room.hub.sent.values())))
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(room.bring, i, stall_s=15) for i in range(2)]
    assert all(each.result().verified for each in both)
    assert sent[0] < SIZE
    assert sum(room.hub.sent.values()) == SIZE
    assert room.there(0) == room.there(1) == FILES


def test_who_has_copied_a_part_fetches_the_rest_where_the_first_fails(
    new_room: Callable[[int], Room], monkeypatch: pytest.MonkeyPatch
) -> None:
    room = new_room(2)
    monkeypatch.setattr(sharing, "LEAST_PIECE_BYTES", 1)
    room.hub.faults = [Fault("stall", after=1000)]
    over = threading.Event()
    copied = copies(monkeypatch, over.set)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(room.bring, 0, cancelled=over.is_set, stall_s=60)
        eventually(lambda: room.group().fetching, "the first fetches")
        assert pool.submit(room.bring, 1).result().verified
        with pytest.raises(RemoteError, match="interrupted"):
            first.result()
    assert room.there(1) == FILES
    saved = sum(len(FILES[path]) for _, _, piece in copied for path in piece)
    assert sum(room.hub.sent.values()) <= 2 * SIZE - saved


def test_a_volume_that_all_mount_is_filled_once(new_room: Callable[[int], Room], tmp_path: Path) -> None:
    """As Lambda's file systems and RunPod's volumes are: nothing is copied onto what is there."""
    room = new_room(3)
    room.volume = str(tmp_path / "nfs")
    room.hub.faults = [Fault("stall", after=1000)]  # long enough for the others to wait
    at_once(room, 0, 1, 2)
    assert room.there(0) == FILES
    assert sum(room.hub.sent.values()) == SIZE
    assert not any("copying" in line for line in room.said)


def test_where_the_first_fails_the_next_fetches(new_room: Callable[[int], Room]) -> None:
    room = new_room(2)
    room.hub.repositories[MODEL].gated = True
    with pytest.raises(WeightsFailed, match="gated, and no token was sent"):
        room.bring(0)
    room.hub.repositories[MODEL].gated = False
    assert room.bring(1).verified
    assert room.bring(0).verified
    assert room.there(0) == room.there(1) == FILES


def test_a_new_node_copies_from_one_that_has_them_since_an_earlier_run(new_room: Callable[[int], Room]) -> None:
    """The hub is asked for its listing alone; one that has nothing is passed over."""
    room = new_room(3)
    room.bring(0)
    room.sharing = Sharing()
    asked = room.hub.asked.copy()
    assert room.bring(2, find=(1, 0)).fetched_bytes == 0
    assert room.there(2) == FILES
    assert room.hub.asked - asked == {f"GET /api/models/{MODEL}/revision/{COMMIT}": 1}


def test_where_no_way_leads_from_one_to_the_other_the_source_is_asked(new_room: Callable[[int], Room]) -> None:
    room = new_room(2)
    room.bring(0)
    shut = replace(room.host(0), address="127.0.0.9", tunnel=())
    (holder,) = room.group().complete()
    real, holder.host = holder.host, shut
    room.machines[0].stop_sshd()
    assert room.bring(1).fetched_bytes == SIZE
    assert any("The source is asked for what is missing" in line for line in room.said)
    assert room.there(1) == FILES
    holder.host = real
    room.machines[0].start()


def test_a_holder_whose_files_were_spoilt_spoils_nobody(new_room: Callable[[int], Room]) -> None:
    """Not even where its marker was changed with them: the hub says what they must be, and that file comes from it."""
    room = new_room(2)
    room.bring(0)
    victim, marker = Path(room.job(0)["folder"]) / "model-2.safetensors", Path(room.job(0)["marker"])
    victim.write_bytes(b"\0" * victim.stat().st_size)
    told = json.loads(marker.read_text())
    told["files"][victim.name]["sha256"] = hashlib.sha256(victim.read_bytes()).hexdigest()
    marker.write_text(json.dumps(told))
    assert room.bring(1).fetched_bytes == len(FILES["model-2.safetensors"])
    assert room.there(1) == FILES
    assert dict(room.hub.sent) == {**{name: len(data) for name, data in FILES.items()}, victim.name: 600_000}


def test_the_key_opens_one_folder_and_nothing_else(new_room: Callable[[int], Room], tmp_path: Path) -> None:
    """Not a shell, not a file beside it, no forwarding. Keys that a killed run has left go with the next."""
    room = new_room(1)
    room.bring(0)
    (holder,) = room.group().complete()
    stale = 'restrict,command="tar" ssh-ed25519 AAAA crossover-weights-0123'
    file = room.machines[0].folder / "authorized_keys"
    file.write_text(f"{file.read_text()}{stale}\n")
    with holder.open(Waiting(30)):
        assert "crossover-weights-0123" not in room.lets_in(0)
        (line,) = [line for line in room.lets_in(0).splitlines() if "crossover-weights-" in line]
        assert line.startswith("restrict,expiry-time=")
        key = tmp_path / "key"
        key.touch(0o600)
        key.write_text(holder.key)
        command = ["ssh", "-F", "/dev/null", "-i", str(key), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
                   "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-p",
                   str(room.machines[0].ssh_port), f"{room.host(0).ssh_user}@127.0.0.1", "cat /etc/passwd"]  # fmt: skip
        done = subprocess.run(command, input=b"", capture_output=True, timeout=30, check=True)
        names = subprocess.run(["tar", "-t"], input=done.stdout, capture_output=True, check=True).stdout.decode()
        assert {name.removeprefix("./") for name in names.split()} - {""} == set(FILES)
    assert "crossover-weights-" not in room.lets_in(0)


def test_the_marker_is_no_secret_and_names_what_is_there(new_room: Callable[[int], Room]) -> None:
    room = new_room(1)
    room.bring(0)
    told = json.loads(Path(room.job(0)["marker"]).read_text())
    assert (told["verified"], told["revision"], set(told["files"])) == (True, COMMIT, set(FILES))


def test_an_interruption_ends_the_waiting(new_room: Callable[[int], Room]) -> None:
    room = new_room(1)
    group = room.group()
    group.fetching = "another"
    others = Siblings(room.sharing, "fleet", room.key, list)
    with Connection.open(room.host(0), room.key) as connection:
        over = threading.Event()

        def hear(line: str) -> None:
            if line == "weights: another brings them; this node copies from it then":
                over.set()

        with pytest.raises(RemoteError, match="interrupted while waiting for the weights of another"):
            bring_among(others, connection, room.job(0), Waiting(60, over.is_set), hear)
