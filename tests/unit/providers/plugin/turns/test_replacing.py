"""Generations that were raised at once: one node after the other, and none once one has failed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from images.remote.errors import Cancelled, RemoteError
from images.remote.waiting import Waiting
from providers.plugin.turns.replacing import Replacements, ReplacementStopped
from providers.plugin.values import Plain
from tests.support.eventually import eventually


def node(key: str, machine: str, role: str = "inference") -> Plain:
    return {"key": key, "project": "p", "stack": "s", "role": role, "machine": {"id": machine}}


@dataclass
class Run:
    """One plugin, and what came to pass in it."""

    events: list[str] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)
    go: dict[str, threading.Event] = field(default_factory=dict)
    """Installs that have been allowed to end, by key."""
    fails: str = ""
    """The event that raises."""
    interrupted: bool = False

    def __post_init__(self) -> None:
        @contextmanager
        def drain(outputs: Plain, waiting: Waiting) -> Iterator[None]:
            self.happen(f"drain {outputs['key']}")
            yield
            self.happen(f"drained {outputs['key']}")

        self.turns = Replacements(drain)

    def happen(self, event: str) -> None:
        self.events.append(event)
        if event == self.fails:
            raise RemoteError(f"no {event}")

    def replace(self, key: str) -> threading.Thread:
        """What the engine asks for, of one node, in a thread of its own."""
        self.go[key] = threading.Event()
        self.turns.plan(node(key, f"fake/{key}1"))
        waiting = Waiting(cancelled=lambda: self.interrupted)

        def rent() -> tuple[str, Plain]:
            self.happen(f"rent {key}")
            return f"fake/{key}2", node(key, f"fake/{key}2")

        def install() -> tuple[str, Plain]:
            assert self.go[key].wait(20)
            self.happen(f"install {key}")
            return key, {}

        def work() -> None:
            try:
                old = node(key, f"fake/{key}1")
                self.turns.delete(old, waiting, lambda: self.happen(f"remove {key}"))
                self.turns.delete(old, waiting, lambda: self.happen(f"end {key}"))
                made = self.turns.create(node(key, ""), rent)
                self.turns.accept({**made[1], "role": "monitoring"}, lambda: (key, {}))
                self.turns.accept(made[1], install)
            except RemoteError as e:
                self.errors[key] = str(e)

        thread = threading.Thread(target=work)
        thread.start()
        return thread


def test_public_bug_9_a_node_is_drained_ended_rented_and_accepted_before_the_next_one_is_touched() -> None:
    """Public bug 9: both machines were ended before either had a successor, which is a total outage."""
    run = Run()
    a = run.replace("a")
    eventually(lambda: "rent a" in run.events, "the first rent")
    b = run.replace("b")
    run.go["b"].set()
    assert run.events == ["drain a", "remove a", "drained a", "end a", "rent a"]
    run.go["a"].set()
    for thread in (a, b):
        thread.join(20)
    assert run.events == [
        "drain a", "remove a", "drained a", "end a", "rent a", "install a",
        "drain b", "remove b", "drained b", "end b", "rent b", "install b",
    ]  # fmt: skip
    assert run.errors == {}


@pytest.mark.parametrize("fails", ["remove a", "end a", "rent a", "install a"])
def test_public_bug_9_the_first_failure_stops_the_rest(fails: str) -> None:
    """Public bug 9: what cannot be had for one node will not be had for the next."""
    run = Run(fails=fails)
    a = run.replace("a")
    run.go["a"].set()
    a.join(20)
    b = run.replace("b")
    b.join(20)
    assert run.errors == {
        "a": f"no {fails}",
        "b": f"b is left as it is: the replacement of a failed (no {fails}). Mend that, then run `up` again",
    }
    assert not any(event.endswith(" b") for event in run.events)


def test_public_bug_9_a_vacancy_is_no_successor() -> None:
    """Public bug 9: with `degrade` one node after the other would become vacant."""
    turns = Replacements()
    for key, machine in (("a", "fake/1"), ("b", "fake/2")):
        turns.plan(node(key, machine))
    turns.delete(node("a", "fake/1"), Waiting(), lambda: None)
    turns.create(node("a", ""), lambda: ("id", node("a", "vacant/a")))
    with pytest.raises(ReplacementStopped, match="a is vacant"):
        turns.delete(node("b", "fake/2"), Waiting(), lambda: None)


def test_whoever_waits_for_its_turn_can_be_interrupted() -> None:
    turns = Replacements()
    for key, machine in (("a", "fake/1"), ("b", "fake/2")):
        turns.plan(node(key, machine))
    turns.delete(node("a", "fake/1"), Waiting(), lambda: None)
    with pytest.raises(Cancelled):
        turns.delete(node("b", "fake/2"), Waiting(cancelled=lambda: True), lambda: None)


def test_what_is_only_removed_waits_for_nobody_and_other_fleets_are_apart() -> None:
    turns = Replacements()
    for one in (node("a", "fake/1"), node("gateway", "fake/3", role="gateway")):
        turns.plan(one)
    ended: list[str] = []
    turns.delete(node("a", "fake/1"), Waiting(), lambda: ended.append("a"))
    turns.delete(node("b", "fake/2"), Waiting(), lambda: ended.append("b"))
    turns.delete(node("gateway", "fake/3", role="gateway"), Waiting(), lambda: ended.append("g"))
    assert ended == ["a", "b", "g"]
