"""Which machines may have a node's weights: those that run beside it in its fleet and cloud."""

from __future__ import annotations

from dataclasses import replace

import pytest

from images.remote.waiting import Waiting
from providers.base import MachineState, NodeSpec, Owner
from providers.errors import Unavailable
from providers.plugin import machine as module
from providers.plugin.machine import siblings_of
from tests.support.clouds import FakeCloud


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> FakeCloud:
    made = FakeCloud()
    for name, owner, state in (
        ("me", Owner("p", "s", "inference", "a", 1), MachineState.RUNNING),
        ("beside", Owner("p", "s", "inference", "b", 1), MachineState.RUNNING),
        ("boots", Owner("p", "s", "inference", "c", 1), MachineState.PENDING),
        ("routes", Owner("p", "s", "gateway", "gateway", 1), MachineState.RUNNING),
        ("another's", Owner("p", "t", "inference", "b", 1), MachineState.RUNNING),
        ("of our name", Owner("p", "s", "inference", "b", 1, "2b"), MachineState.RUNNING),
    ):
        launched = made.launch(NodeSpec(name, owner, "r1", "gpu", "ssh-ed25519 AAAA", {"ssh": 22}))
        made.machines[launched.id] = replace(launched, state=state)
    monkeypatch.setattr(module, "identified", lambda machine, keys, way: machine)
    return made


def test_only_those_of_the_fleet_that_run_are_asked(cloud: FakeCloud) -> None:
    """Audit 4: the state says whose the asking node is, where its own mark is of before identities."""
    found = list(siblings_of("fake/fake-1", "key", lambda name: cloud, Waiting(), "1a"))
    assert [(m.name, m.supervision) for m in found] == [("beside", "systemd")]


def test_a_cloud_that_does_not_answer_is_said_and_stops_nothing(cloud: FakeCloud) -> None:
    said: list[str] = []
    cloud.get_faults.append(Unavailable("503"))
    assert list(siblings_of("fake/fake-1", "key", lambda name: cloud, Waiting(say=said.append))) == []
    assert said == ["cannot look for weights on other nodes: 503"]
