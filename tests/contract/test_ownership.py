"""Whose a machine is, on every cloud: an identity says so, and what has the name of ours and another one is let be."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import providers.renting.ownership
import providers.renting.rent
from images.remote.errors import RemoteError, Unreachable
from images.remote.waiting import Waiting
from providers.base import Firewalled
from providers.errors import SomebodyElses
from providers.plugin.handler import InitFailed
from providers.plugin.node import NodeHandler
from providers.plugin.values import Plain
from providers.renting.blocklist import Blocklist
from scripts.crossover.stack.orphans import Standing, compare
from scripts.crossover.stack.state import Known
from tests.contract.conftest import Trial
from tests.support.sshd import make_key, public_key

OURS, THEIRS = "00c0ffee00c0ffee", "0badcafe0badcafe"


@pytest.fixture(autouse=True)
def own_places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{tmp_path}")


@dataclass
class Colleague:
    """Somebody's checkout: a state of its own, with one node "a" of the stack p/s. Without an identity it is of before
    there were any."""

    trial: Trial
    folder: Path
    stack_id: str = ""
    id: str = ""
    outputs: Plain = field(default_factory=dict)

    @property
    def inputs(self) -> Plain:
        if not (self.folder / "key").exists():
            self.folder.mkdir(parents=True)
            make_key(self.folder / "key")
        rungs = [{"cloud": self.trial.cloud.name, "region": self.trial.region, "sku": self.trial.sku}]
        return {
            "key": "a", "role": "inference", "project": "p", "stack": "s", "generation": 1,
            "candidates": [{**rung, "maxUsdPerHour": 30} for rung in rungs],
            "ports": {"ssh": 22, "vllm": 8000, "endpoint": 8443}, "sshPublicKey": public_key(self.folder / "key"),
            "sshPrivateKey": (self.folder / "key").read_text(), "maxPerFailureDomain": 1, "deadlineS": 600,
            "onNoCapacity": "fail", "settings": self.trial.sections,
            **({"stackId": self.stack_id} if self.stack_id else {}),
        }  # fmt: skip

    def up(self) -> None:
        """Raises what fails; what the engine would keep is kept."""
        providers.renting.rent.BLOCKLIST = Blocklist()
        handler = NodeHandler(lambda _: self.trial.cloud)
        try:
            if self.id:
                _, self.outputs = handler.read(self.id, self.outputs, self.waiting()) or ({}, {})
                assert self.outputs, "the machine is gone"
                self.outputs = handler.update(self.id, self.outputs, self.inputs, self.waiting())
            else:
                self.id, self.outputs = handler.create("urn", self.inputs, self.waiting())
        except InitFailed as e:
            self.id, self.outputs = e.resource_id, e.outputs
            raise

    def down(self) -> None:
        if self.id:
            NodeHandler(lambda _: self.trial.cloud).delete(self.id, self.outputs, self.waiting())
        self.id, self.outputs = "", {}

    def waiting(self) -> Waiting:
        return self.trial.waiting()

    @property
    def machines(self) -> list[str]:
        """Those in its state."""
        return [str(self.outputs["machine"]["id"]).partition("/")[2]] if self.id else []


@pytest.fixture
def ours(trial: Trial, tmp_path: Path) -> Iterator[Colleague]:
    made = Colleague(trial, tmp_path / "ours", OURS)
    yield made
    made.down()


@pytest.fixture
def theirs(trial: Trial, tmp_path: Path) -> Colleague:
    return Colleague(trial, tmp_path / "theirs", THEIRS)


def test_a_stack_of_the_same_name_takes_nothing_and_ends_nothing_of_the_first(
    trial: Trial, ours: Colleague, theirs: Colleague
) -> None:
    """Audit 4: SAME_NAME, two states of one stack name on one account: the second `up` refuses, its `down` ends
    nothing, and the first serves on."""
    ours.up()
    with pytest.raises(SomebodyElses) as refused:
        theirs.up()
    assert theirs.machines == []
    for told in (ours.machines[0], OURS, THEIRS, trial.cloud.get(ours.machines[0]).created_at, "another stack name"):
        assert told in str(refused.value)
    theirs.down()
    assert trial.billed() == ours.machines
    before = ours.machines
    ours.up()
    assert trial.billed() == ours.machines == before


STEPS = st.lists(st.tuples(st.booleans(), st.sampled_from(["up", "down"])), max_size=8)


@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(STEPS)
def test_in_any_sequence_each_machine_is_in_one_state_and_only_that_one_ends_it(
    emulated: Trial, tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[bool, str]]
) -> None:
    """Audit 4: SAME_NAME, drawn in every order: what is billed is what the two states know, and the one that came
    first is the one that has a machine."""
    folder = tmp_path_factory.getbasetemp() / emulated.cloud.name
    both = [Colleague(emulated, folder / whose, stack_id) for whose, stack_id in (("1", OURS), ("2", THEIRS))]
    for first, what in steps:
        acting, other = both if first else reversed(both)
        others = other.machines
        try:
            acting.down() if what == "down" else acting.up()
        except SomebodyElses:
            assert others
            assert not acting.machines
        assert other.machines == others
        assert emulated.billed() == sorted(acting.machines + others)
    for colleague in both:
        colleague.down()
    assert emulated.billed() == []


def test_a_node_that_may_be_vacant_is_none_where_the_name_is_somebody_elses(
    trial: Trial, ours: Colleague, theirs: Colleague
) -> None:
    """Audit 4: `degrade` is for want of machines, and no way around a refusal."""
    ours.up()
    with pytest.raises(SomebodyElses):
        NodeHandler(lambda _: trial.cloud).create("urn", {**theirs.inputs, "onNoCapacity": "degrade"}, theirs.waiting())
    assert trial.billed() == ours.machines


def test_the_first_stacks_firewall_stays_as_it_is(trial: Trial, ours: Colleague, theirs: Colleague) -> None:
    """Audit 4: what a stack of the same name is let in at is another ruleset, which it ends alone."""
    cloud = trial.cloud
    if not isinstance(cloud, Firewalled) or trial.emulator is None:
        pytest.skip("no firewall that knows machines by address")
    ours.up()
    rulesets = deepcopy(trial.emulator.rulesets)  # type: ignore[attr-defined]
    owner = cloud.get(ours.machines[0]).owner
    assert owner is not None
    stranger = cloud.launch(trial.spec("theirs", owner=type(owner)("p", "s", "inference", "a", 1, THEIRS)))
    trial.clock.sleep(3600) if trial.clock else None
    assert stranger.owner is not None
    for whose in (stranger.owner, owner):
        cloud.admit(whose, trial.settings)
        now = trial.emulator.rulesets  # type: ignore[attr-defined]
        assert {key: now[key] for key in rulesets} == rulesets
        assert len(now) == len(rulesets) + 1
    cloud.terminate(stranger.id)
    assert trial.emulator.rulesets == rulesets  # type: ignore[attr-defined]


def test_orphans_of_another_stack_are_never_ours_to_end(trial: Trial, ours: Colleague, theirs: Colleague) -> None:
    """Audit 4: `orphans` in the other checkout calls it somebody else's, and ends orphans alone."""
    ours.up()
    listed = trial.cloud.list("p")
    [seen] = compare(listed, {"s": Known(frozenset(), busy=False, stack_id=THEIRS)})
    assert seen.standing is Standing.SOMEBODY_ELSES
    [seen] = compare(listed, {"s": Known(frozenset(), busy=False, stack_id=OURS)})
    assert seen.standing is Standing.ORPHAN


def test_a_lost_state_finds_its_machine_again(trial: Trial, ours: Colleague) -> None:
    """Audit 4: the identity is the stack's, so what an earlier run of it rented is adopted."""
    ours.up()
    [before] = ours.machines
    ours.id, ours.outputs = "", {}
    ours.up()
    assert trial.billed() == ours.machines == [before]


def test_a_machine_of_before_identities_is_adopted_by_its_host_key_alone(
    emulated: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Audit 4: its mark tells a name alone, so the machine is asked: it shows a key of this stack's, or is let be."""
    before = Colleague(emulated, tmp_path / "one")
    before.up()
    for proves in (False, True):
        monkeypatch.setattr(providers.renting.ownership, "shows_keys_of", lambda machine, key, p=proves: p)
        after = Colleague(emulated, tmp_path / "one", OURS)
        if proves:
            after.up()
        else:
            with pytest.raises(SomebodyElses, match="another stack's host key"):
                after.up()
        assert after.machines == (before.machines if proves else [])
        assert emulated.billed() == before.machines


def test_one_that_does_not_run_is_let_be_and_not_started(
    emulated: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Audit 4: who cannot be asked whose it is, is neither taken nor ended nor started."""
    before = Colleague(emulated, tmp_path / "one")
    before.up()
    monkeypatch.setattr(emulated.cloud, "start", lambda machine_id: pytest.fail("started"))
    monkeypatch.setattr(providers.renting.ownership, "shows_keys_of", silent)
    after = Colleague(emulated, tmp_path / "one", OURS)
    with pytest.raises(RemoteError, match="could not be asked whose it is"):
        after.up()
    assert after.machines == []
    assert emulated.billed() == before.machines


def silent(machine: object, key: str) -> bool:
    raise Unreachable("nobody answers")


@pytest.mark.parametrize("same", [True, False])
def test_at_local_the_stacks_key_must_log_in_too(local: Trial, tmp_path: Path, same: bool) -> None:
    """Audit 4: there the cloud reports the machine's own host key, which every stack reads."""
    before = Colleague(local, tmp_path / "one")
    before.up()
    after = Colleague(local, tmp_path / ("one" if same else "other"), OURS)
    if same:
        after.up()
        assert after.machines == before.machines
    else:
        with pytest.raises(SomebodyElses):
            after.up()
        assert after.machines == []
    assert local.billed() == before.machines
