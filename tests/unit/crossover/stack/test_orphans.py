"""`crossover orphans`: what no state knows is found, and nothing that a state may know is ever ended."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from cost_guard.catalogue.catalogue import load_catalogue
from providers.base import Machine, MachineState
from providers.errors import Incomplete, Unauthorized, Unavailable
from providers.renting.memory import identity
from scripts.crossover.__main__ import app
from scripts.crossover.commands import orphans as command
from scripts.crossover.stack import orphans
from scripts.crossover.stack.engine import StackError
from scripts.crossover.stack.orphans import Identities, Standing, compare
from scripts.crossover.stack.state import Known
from tests.support.market import IDENTITY, MISSING, Market, registered, rented

STACKS = ("prod", "dev", "gone")
THEIRS = "0badcafe"
EMPTY = Known(frozenset(), busy=False, stack_id=IDENTITY)

machines = st.lists(
    st.builds(
        lambda number, stack, cloud, owned, whose, state: replace(
            rented(number, stack, cloud, owned, whose), state=state
        ),
        st.integers(0, 12), st.sampled_from(STACKS), st.sampled_from(["fake", "other"]), st.booleans(),
        st.sampled_from(["", IDENTITY, THEIRS]), st.sampled_from(MachineState),
    ),
    max_size=12,
    unique_by=lambda m: (m.cloud, m.id),
)  # fmt: skip
ids = st.frozensets(st.builds("{}/m-{}".format, st.sampled_from(["fake", "other"]), st.integers(0, 12)))
states = st.dictionaries(
    st.sampled_from(STACKS[:2]),
    st.builds(Known, ids, st.booleans(), st.sampled_from(["", IDENTITY])) | st.just("unreadable"),
)


def orphaned(found: tuple[orphans.Sighting, ...]) -> set[str]:
    return {f.resource_id for f in found if f.standing is Standing.ORPHAN}


@given(machines, states)
def test_every_machine_that_exists_has_one_standing(listed: list[Machine], known: dict[str, Known | str]) -> None:
    there = [m for m in listed if m.state is not MachineState.TERMINATED]
    found = compare(listed, known)
    assert [f.machine for f in found] == there
    assert all(bool(f.why) == (f.standing not in (Standing.KNOWN, Standing.ORPHAN)) for f in found)


@given(machines, states)
def test_an_orphan_is_in_no_state_and_its_own_stacks_state_was_read_in_peace(
    listed: list[Machine], known: dict[str, Known | str]
) -> None:
    for finding in compare(listed, known):
        if finding.standing is Standing.ORPHAN:
            assert finding.machine.owner is not None
            state = known[finding.machine.owner.stack]
            assert isinstance(state, Known)
            assert (state.busy, state.stack_id) == (False, finding.machine.owner.stack_id)
            assert all(finding.resource_id not in s.machines for s in known.values() if isinstance(s, Known))


@given(machines, states, st.sampled_from(STACKS[:2]))
def test_knowing_less_never_makes_more_of_a_stacks_own_machines_orphans(
    listed: list[Machine], known: dict[str, Known | str], lost: str
) -> None:
    """A state that cannot be read any more turns none of its stack's machines into orphans."""
    of_lost = {f"{m.cloud}/{m.id}" for m in listed if m.owner is not None and m.owner.stack == lost}
    assert not orphaned(compare(listed, {**known, lost: "unreadable"})) & of_lost


@given(machines, states)
def test_what_the_states_record_is_never_an_orphan(listed: list[Machine], known: dict[str, Known | str]) -> None:
    everything = Known(frozenset(f"{m.cloud}/{m.id}" for m in listed), False, IDENTITY)
    assert orphaned(compare(listed, {**known, "prod": everything})) == set()


@pytest.mark.parametrize(
    ("machine", "known", "told"),
    [
        (rented(1, owned=False), {"prod": EMPTY}, "its mark cannot be read"),
        (rented(1, "elsewhere"), {"prod": EMPTY}, "no stack elsewhere"),
        (rented(1), {"prod": "wrong passphrase"}, "the state of prod cannot be read: wrong passphrase"),
        (rented(1), {"prod": replace(EMPTY, busy=True)}, "scripts/recover prod"),
        (rented(1), {"prod": Known(frozenset(), True)}, "scripts/recover prod"),
        (rented(1), {"prod": Known(frozenset(), False)}, "prod is not up, and has no identity here"),
        (rented(1, stack_id=""), {"prod": EMPTY}, "it was launched before stacks had identities"),
    ],
)
def test_why_a_standing_is_unknown_is_told(machine: Machine, known: Mapping[str, Known | str], told: str) -> None:
    [finding] = compare([machine], known)
    assert finding.standing is Standing.UNKNOWN
    assert told in finding.why


@pytest.mark.parametrize(
    ("created", "told"),
    [
        ("2026-11-22T11:20:00Z", "40 min"), ("2026-11-22T10:55:00+00:00", "1 h 5 min"),
        ("2026-11-19T08:00:00", "3 d 4 h"),
        ("", ""), ("soon", ""), ("2026-11-23T00:00:00Z", "0 min"),
    ],
)  # fmt: skip
def test_age(created: str, told: str) -> None:
    assert command.age(created, datetime(2026, 11, 22, 12, tzinfo=UTC)) == told


class World:
    """One cloud with machines, and the states."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch
        self.cloud = Market()
        self.states: dict[str, Known | StackError] = {"prod": replace(EMPTY, machines=frozenset({"fake/m-1"}))}
        for number in (1, 2, 3):
            self.has(rented(number))
        registered(monkeypatch, self.cloud)
        monkeypatch.setattr(orphans, "stacks", lambda: [f"organization/crossover/{name}" for name in self.states])
        monkeypatch.setattr(orphans, "known_machines", self._read)

    def has(self, machine: Machine) -> None:
        self.cloud.machines[machine.id] = machine

    def _read(self, stack: str) -> Known:
        state = self.states[stack.rpartition("/")[2]]
        if isinstance(state, StackError):
            raise state
        return state

    def run(self, *arguments: str, answer: str | None = None) -> Any:
        return CliRunner().invoke(app, ["orphans", *arguments], input=answer)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{tmp_path}/backend")
    return World(monkeypatch)


def test_orphans_are_shown_with_their_total_and_exit_1(world: World) -> None:
    """Two at 22.32 USD/h."""
    done = world.run()
    assert done.exit_code == 1
    assert "2 orphan(s) at 44.64 USD/h; 1 machine(s) known to a state" in done.stdout
    assert "fake/m-2" in done.stdout
    assert "fake/m-1" not in done.stdout
    assert len(world.cloud.machines) == 3
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_json_tells_every_machine(world: World) -> None:
    told = json.loads(world.run("--json").stdout)
    assert told["orphanUsdPerHour"] == "44.64"
    assert [(m["id"], m["standing"]) for m in told["machines"]] == [
        ("fake/m-1", "known"), ("fake/m-2", "orphan"), ("fake/m-3", "orphan"),
    ]  # fmt: skip


def test_where_all_is_known_it_exits_0(world: World) -> None:
    world.states["prod"] = Known(frozenset({"fake/m-1", "fake/m-2", "fake/m-3"}), busy=False)
    done = world.run()
    assert (done.exit_code, done.stdout) == (0, "0 orphan(s) at 0.00 USD/h; 3 machine(s) known to a state\n")


def test_termination_asks_and_no_is_no(world: World) -> None:
    assert world.run("--terminate", answer="n\n").exit_code == 1
    assert len(world.cloud.machines) == 3
    assert world.run("--terminate", answer="").exit_code == 1
    assert len(world.cloud.machines) == 3


@pytest.mark.parametrize(("flag", "answer"), [("--yes", None), ("--terminate", "y\n")])
def test_termination_ends_the_orphans_alone(world: World, flag: str, answer: str | None) -> None:
    world.has(rented(4, "elsewhere"))
    done = world.run("--terminate", flag, answer=answer)
    assert done.exit_code == 0
    assert set(world.cloud.machines) == {"m-1", "m-4"}
    assert "ended fake/m-2" in done.stdout


def test_what_was_adopted_while_the_question_stood_is_not_ended(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def answered_late(found: orphans.Census) -> bool:
        world.states["prod"] = replace(EMPTY, machines=frozenset({"fake/m-1", "fake/m-2"}))
        world.has(rented(5))
        return True

    monkeypatch.setattr(command, "_agreed", answered_late)
    assert world.run("--terminate").exit_code == 1  # m-5 was not among those that were agreed to
    assert set(world.cloud.machines) == {"m-1", "m-2", "m-5"}


def test_one_that_does_not_end_is_told_with_what_to_do_and_the_others_end(world: World) -> None:
    world.cloud.terminate_fails = True
    done = world.run("--terminate", "--yes")
    assert (done.exit_code, "NOT ended: fake/m-2: the cloud refuses" in done.stdout) == (1, True)
    told = json.loads(world.run("--terminate", "--yes", "--json").stdout)
    assert [m.get("notEnded") for m in told["machines"]] == [None, "the cloud refuses", "the cloud refuses"]


@pytest.mark.parametrize(
    ("states", "identities", "standing"),
    [
        ({"prod": EMPTY}, Identities(), Standing.SOMEBODY_ELSES),
        ({"prod": replace(EMPTY, busy=True)}, Identities(), Standing.SOMEBODY_ELSES),
        ({"prod": EMPTY}, Identities(copied={"prod": [THEIRS]}), Standing.ORPHAN),
        ({"prod": EMPTY}, Identities(typed=frozenset({THEIRS})), Standing.ORPHAN),
        ({"prod": Known(frozenset(), False)}, Identities(copied={"prod": [THEIRS]}), Standing.ORPHAN),
        ({"prod": Known(frozenset(), False)}, Identities(copied={"prod": [IDENTITY]}), Standing.SOMEBODY_ELSES),
        ({"prod": "cut off"}, Identities(copied={"prod": [IDENTITY]}), Standing.SOMEBODY_ELSES),
        ({"prod": "cut off"}, Identities(copied={"prod": [THEIRS]}), Standing.UNKNOWN),
        ({"prod": "cut off"}, Identities(), Standing.UNKNOWN),
        ({"prod": "cut off"}, Identities(typed=frozenset({THEIRS})), Standing.ORPHAN),
        ({}, Identities(copied={"prod": [THEIRS]}), Standing.UNKNOWN),
        ({}, Identities(typed=frozenset({THEIRS})), Standing.ORPHAN),
        ({"prod": Known(frozenset({"fake/m-1"}), False)}, Identities(typed=frozenset({THEIRS})), Standing.KNOWN),
    ],
)
def test_what_an_identity_tells(states: Mapping[str, Known | str], identities: Identities, standing: Standing) -> None:
    """Audit 4: another identity is somebody else's; where no state can be read, a copy tells ours apart, and a person
    who types one has the last word on all that no state knows."""
    [finding] = compare([rented(1, stack_id=THEIRS)], states, identities)
    assert finding.standing is standing


def test_what_is_somebody_elses_is_shown_with_its_identity_and_never_ended(world: World) -> None:
    """Audit 4: `orphans --terminate` in a checkout with another stack of the same name."""
    world.has(rented(4, stack_id=THEIRS))
    world.has(rented(5, stack_id=""))
    done = world.run("--terminate", "--yes")
    assert set(world.cloud.machines) == {"m-1", "m-4", "m-5"}
    assert f"fake/m-4 is somebody else's: its identity is {THEIRS}" in done.stderr
    assert done.exit_code == 0


def test_a_lost_state_leaves_its_machines_to_who_types_the_identity(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Audit 7: a full disk cut the state off, and not even the stacks can be listed."""

    def cut() -> list[str]:
        raise StackError("unexpected end of JSON input")

    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{tmp_path}")
    monkeypatch.setattr(orphans, "stacks", cut)
    identity.keep("crossover", "prod", IDENTITY)
    world.has(rented(4, stack_id=THEIRS))
    shown = world.run("--terminate", "--yes")
    assert (shown.exit_code, len(world.cloud.machines)) == (1, 4)
    assert "fake/m-1 is unknown: the state of prod cannot be read: unexpected end of JSON input" in shown.stderr
    assert f"--stack-id {IDENTITY}" in shown.stderr
    assert "fake/m-4 is somebody else's" in shown.stderr
    world.run("--terminate", "--yes", "--stack-id", IDENTITY)
    assert set(world.cloud.machines) == {"m-4"}


def test_an_error_without_a_remedy_gets_one() -> None:
    told = orphans.by_hand(rented(1), Unavailable("503"))
    assert told.startswith("503; it goes on costing 22.32 USD/h: ")
    assert "console" in told


def test_machines_of_a_stack_whose_state_cannot_be_read_stay(world: World) -> None:
    world.states = {"prod": StackError("incorrect\npassphrase"), "dev": Known(frozenset(), busy=False)}
    done = world.run("--terminate", "--yes")
    assert (done.exit_code, len(world.cloud.machines)) == (1, 3)
    assert "the state of prod cannot be read: incorrect passphrase" in done.stderr


def test_the_clouds_are_listed_before_the_states_are_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a machine that was made in between would look like an orphan."""
    order: list[str] = []

    def told(what: str, call: Callable[[str], Any]) -> Callable[[str], Any]:
        def wrapped(argument: str) -> Any:
            order.append(what)
            return call(argument)

        return wrapped

    monkeypatch.setattr(world.cloud, "list", told("cloud", world.cloud.list))
    monkeypatch.setattr(orphans, "known_machines", told("state", world._read))
    world.run()
    assert order == ["cloud", "state"]


@pytest.mark.parametrize(
    ("refusal", "used", "code"),
    [(Unauthorized(MISSING), False, 0), (Unauthorized(MISSING), True, 1), (Unavailable("503"), False, 1)],
)
def test_a_cloud_that_could_not_be_asked_is_no_all_clear(
    world: World, monkeypatch: pytest.MonkeyPatch, refusal: Any, used: bool, code: int
) -> None:
    """But one without credentials, where no state has a machine, is not configured."""
    known = frozenset({"fake/m-1", "fake/m-2", "fake/m-3", *(["b/m-9"] if used else [])})
    world.states["prod"] = Known(known, busy=False)
    registered(monkeypatch, world.cloud, Market("b", refuses=refusal))
    assert world.run().exit_code == code


def test_json_asks_no_question(world: World) -> None:
    done = world.run("--json", "--terminate")
    assert (done.exit_code, done.stdout, len(world.cloud.machines)) == (1, "", 3)
    assert "add --yes" in done.stderr


def test_orphans_of_a_part_of_a_cloud_are_shown_and_the_silent_rest_is_told(world: World) -> None:
    world.cloud.refuses = Incomplete("fake r2: no right", [rented(7)])
    done = world.run()
    assert (done.exit_code, "fake/m-7" in done.stdout) == (1, True)
    assert "fake could not be asked: fake r2: no right" in done.stderr


def test_what_bills_beside_the_machines_is_an_orphan_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a cloud has more than machines."""
    lone = replace(rented(9), id="vol-9", sku="gp3 500 GiB")
    monkeypatch.setattr(world.cloud, "billed", lambda project: [rented(1), lone], raising=False)
    assert [m["id"] for m in json.loads(world.run("--json").stdout)["machines"]] == ["fake/m-1", "fake/vol-9"]


def test_a_price_that_the_cloud_does_not_tell_is_the_catalogues() -> None:
    """p4de.24xlarge at aws: 27.447050 USD/h."""
    untold = replace(rented(1, cloud="aws"), sku="p4de.24xlarge", usd_per_hour=None)
    assert str(orphans.priced(untold, load_catalogue()).usd_per_hour) == "27.447050"
    odd = replace(untold, sku="odd")
    assert orphans.priced(odd, load_catalogue()) == odd
    assert orphans.priced(rented(1), load_catalogue()) == rented(1)
