"""A machine dies while clients talk: they do not notice, `refresh` does, `up` replaces it. Then everything is ended."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from strict.names import NODE
from tests.support.checkout import Checkout
from tests.support.eventually import DEADLINE_S
from tests.support.processes import alive, kill, open_ports


@dataclass
class Load:
    """What a few clients saw: `answers` counts by status, `broken` are requests that got no answer at all."""

    answers: dict[int, int] = field(default_factory=dict)
    cut: int = 0
    """Streams that had begun and did not end: a dead node's own, which nobody can save."""
    broken: list[str] = field(default_factory=list)
    models: set[str] = field(default_factory=set)
    served_by: set[str] = field(default_factory=set)

    @property
    def total(self) -> int:
        return sum(self.answers.values())


@contextmanager
def clients(endpoint: str, key: str, model: str, count: int = 4) -> Iterator[Load]:
    """`count` clients that ask one thing after another until the block is left."""
    load, stop, guard = Load(), threading.Event(), threading.Lock()

    def client() -> None:
        while not stop.is_set():
            begun = False
            try:
                connection = http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=60)
                body = {"model": model, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 8}
                connection.request("POST", "/v1/chat/completions", json.dumps(body), {
                    "Authorization": f"Bearer {key}", "Content-Type": "application/json"})  # fmt: skip
                response = connection.getresponse()
                begun = True
                answer = json.loads(response.read())
                with guard:
                    load.answers[response.status] = load.answers.get(response.status, 0) + 1
                    load.models.add(answer.get("model", ""))
                    load.served_by.add(response.headers.get("X-Served-By", ""))
            except (OSError, http.client.HTTPException, ValueError) as e:
                with guard:
                    if begun:
                        load.cut += 1
                    else:
                        load.broken.append(f"{type(e).__name__}: {e}")

    threads = [threading.Thread(target=client) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=90)


CROSSOVER = ".venv/bin/crossover"


def wait_for(load: Load, condition: Callable[[], object]) -> None:
    """As `eventually`, and the failure shows the load."""
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, load
        time.sleep(0.05)


def test_a_changed_bundle_rolls_through_the_fleet_unfelt(clone: Checkout) -> None:
    clone.up()
    reached, before = clone.outputs(), clone.machines
    clone.configure({"serving.maxNumSeqs": 64})
    with clients(reached["endpoint"], reached["endpointKey"], reached["model"]) as load:
        wait_for(load, lambda: load.total >= 20)
        changed = clone.up("--policy-pack", "policies")
    for key in ("a", "b"):
        assert f"{key} is out of rotation, all its requests finished" in changed
    assert (load.broken, load.cut, set(load.answers)) == ([], 0, {200}), (load, changed)
    assert load.models == {"llama-70b"}, (load, changed)
    assert {key: m.id for key, m in clone.machines.items()} == {key: m.id for key, m in before.items()}
    with clients(reached["endpoint"], reached["endpointKey"], reached["model"], count=8) as load:
        wait_for(load, lambda: load.served_by == {"a", "b"})  # both are back in rotation


def test_a_dead_machine_is_noticed_replaced_and_never_felt(clone: Checkout) -> None:
    clone.up("--policy-pack", "policies")
    reached = clone.outputs()
    before = clone.machines
    with clients(reached["endpoint"], reached["endpointKey"], reached["model"]) as load:
        wait_for(load, lambda: load.total >= 20)
        dead = before["a"].id
        kill(clone.cloud.client.processes(dead))  # at once, as a power cut would
        clone.cloud.terminate(dead)
        seen = load.total
        wait_for(load, lambda: load.total >= seen + 20)
        clone.pulumi("refresh", "-s", "local", "--yes", "--skip-preview")
        names = [r["urn"].rpartition("::")[2] for r in clone.state()["deployment"]["resources"]]
        assert "a" not in names
        clone.up("--policy-pack", "policies")
        seen = load.total
        wait_for(load, lambda: load.total >= seen + 20)
    assert load.broken == []
    assert set(load.answers) == {200}, load.answers
    assert load.models == {"llama-70b"}  # one node carried it: nothing went to the managed model
    after = clone.machines
    assert set(after) == {"a", "b", "gateway"}
    assert after["a"].id != dead
    assert (after["b"].id, after["gateway"].id) == (before["b"].id, before["gateway"].id)
    assert "10 unchanged" in clone.up("--refresh")

    # Both nodes dead: the managed stand-in answers, and the endpoint stays where it is.
    for key in ("a", "b"):
        clone.cloud.terminate(after[key].id)
    with clients(reached["endpoint"], reached["endpointKey"], reached["model"], count=2) as load:
        wait_for(load, lambda: load.total >= 10)
    assert load.broken == []
    assert set(load.answers) == {200}
    assert load.models <= {"managed-stand-in", "llama-70b"}

    # `make down` ends everything, also what was already dead, and leaves no process and no port.
    pids = clone.cloud.client.processes(after["gateway"].id)
    ports = {port for _, port in open_ports(pids)}
    assert ports
    clone.run("scripts/down", "local")
    assert clone.machines == {}
    assert [pid for pid in pids if alive(pid)] == []
    assert open_ports(pids) == set()
    clone.run("scripts/down", "local")  # with nothing up it is done at once


def test_after_a_restart_of_the_computer_up_brings_the_same_machines_back(clone: Checkout) -> None:
    clone.up()
    before = clone.machines
    for machine in before.values():
        while pids := clone.cloud.client.processes(machine.id):
            kill(pids)
    clone.run("scripts/up", "local")
    assert {key: m.id for key, m in clone.machines.items()} == {key: m.id for key, m in before.items()}
    results = clone.told(".venv/bin/crossover", "smoke", "--json")
    assert all(r["ok"] for r in results), results


def test_a_machine_that_is_missing_is_given_up_by_a_person_alone(clone: Checkout) -> None:
    """Audit 9: all machines of a cloud that are missing at once may be another account's listing. A refresh keeps them,
    `accept-gone` refuses what is there, and after it `up` brings the stack back."""
    clone.up()
    before = clone.machines
    assert "is there (sshd runs)" in clone.run(CROSSOVER, "accept-gone", "a", "--yes", fails=True)
    for machine in before.values():
        clone.cloud.terminate(machine.id)
    refused = clone.pulumi("refresh", "-s", "local", "--yes", "--skip-preview", fails=True)
    assert "crossover accept-gone a --stack local" in refused
    for key in before:
        assert key in nodes(clone)
        clone.run(CROSSOVER, "accept-gone", key, "--yes")
        assert key not in nodes(clone)
    clone.up("--refresh")
    assert set(clone.machines) == {"a", "b", "gateway"}
    assert not {m.id for m in clone.machines.values()} & {m.id for m in before.values()}


def nodes(clone: Checkout) -> set[str]:
    """Keys of the nodes that the state has."""
    return {r["inputs"]["key"] for r in clone.state()["deployment"]["resources"] if r["type"] == NODE}
