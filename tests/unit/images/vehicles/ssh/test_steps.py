"""An install is a list of steps, and one may ask for a new connection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

import pytest

from images.remote.connection import Connection
from images.remote.errors import CommandFailed, Unreachable
from images.remote.mask import Mask
from images.remote.waiting import Waiting
from images.vehicles.ssh.probe import Probe
from images.vehicles.ssh.steps import installation
from images.vehicles.ssh.steps.installation import MOST_RECONNECTS, Installation, Reconnect, Step, run_steps
from images.vehicles.ssh.steps.order import STEPS
from tests.unit.images.samples import layout


@dataclass
class Line:
    """In place of a connection."""

    number: int
    closed: list[int]

    def close(self) -> None:
        self.closed.append(self.number)


@dataclass
class Bench:
    """What happened, in order."""

    monkeypatch: pytest.MonkeyPatch
    done: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    closed: list[int] = field(default_factory=list)
    opened: int = 0

    def __post_init__(self) -> None:
        self.monkeypatch.setattr(installation, "ask", lambda line, *_: Probe(python=f"as seen over line {line.number}"))

    def connect(self, within_s: float = 0) -> Connection:
        self.opened += 1
        self.done.append(f"line {self.opened} within {within_s:g}")
        return cast(Connection, Line(self.opened, self.closed))

    def run(self, *made: Step) -> Installation:
        under_way = Installation(self.connect(), layout(), (), Waiting(60), self.said.append, Mask([]))
        with under_way:
            run_steps(made, under_way, self.connect)
        return under_way

    def step(self, name: str, asks: int = 0) -> Step:
        """A step that asks so often for a new connection."""
        wishes = [Reconnect("the machine starts anew", 30)] * asks

        def run(_: Installation) -> Reconnect | None:
            self.done.append(name)
            return wishes.pop() if wishes else None

        return Step(name, run)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


def test_an_install_is_these_steps_in_this_order() -> None:
    """Drivers before the gigabytes that need them; GPU nodes' upgrades are stopped before anything is built; what the
    engine turns out to be is known before it is started."""
    expected = [
        "look",
        "install_packages",
        "bring_gpus",
        "build_environments",
        "look_at_engine",
        "measure_links",
        "bring_weights",
        "send_files",
        "bring_services",
        "accept",
    ]
    assert [s.run.__name__ for s in STEPS if s.run.__name__ in expected] == expected


def test_steps_run_in_their_order_over_one_connection_which_is_closed(bench: Bench) -> None:
    bench.run(bench.step("first"), bench.step("second"))
    assert bench.done == ["line 1 within 0", "first", "second"]
    assert bench.closed == [1]


def test_a_step_that_asks_gets_a_new_connection_and_a_new_look_and_goes_on_where_it_was(bench: Bench) -> None:
    after = bench.run(bench.step("first"), bench.step("restart", asks=1), bench.step("last"))
    assert bench.done == ["line 1 within 0", "first", "restart", "line 2 within 30", "restart", "last"]
    assert after.probe.python == "as seen over line 2"
    assert bench.said == ["connecting again: the machine starts anew"]
    assert bench.closed == [1, 2]


def test_a_step_that_never_stops_asking_is_an_error_that_names_it(bench: Bench) -> None:
    with pytest.raises(CommandFailed, match="restart asked 4 times to connect again: the machine starts anew"):
        bench.run(bench.step("restart", asks=99), bench.step("never"))
    assert bench.done.count("restart") == MOST_RECONNECTS + 1
    assert "never" not in bench.done
    assert bench.closed == [1, 2, 3, 4]


def test_a_machine_that_does_not_come_back_ends_the_install(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    under_way = Installation(bench.connect(), layout(), (), Waiting(60), bench.said.append, Mask([]))

    def gone(within_s: float) -> Connection:
        raise Unreachable("it does not answer")

    with pytest.raises(Unreachable), under_way:
        run_steps([bench.step("restart", asks=1), bench.step("never")], under_way, gone)
    assert bench.done[-1] == "restart"
