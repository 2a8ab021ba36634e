"""A node whose machine is gone leaves the state with what is installed on it, and nothing else does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from providers.base import Owner
from providers.renting.naming import machine_name
from scripts.crossover.stack.engine import StackError
from scripts.crossover.stack.surgery import forgetting

NODE = "urn:pulumi:s::p::crossover:index:Fleet$gpucloud:index:Node::a"
INSTALL = "urn:pulumi:s::p::crossover:index:Fleet$gpucloud:index:Install::a-install"
GATEWAY = "urn:pulumi:s::p::gpucloud:index:Install::gateway"


def state() -> dict[str, Any]:
    inputs = {"key": "a", "role": "inference", "project": "p", "stack": "s", "generation": 2}
    machine = {"id": "lambda/i-1"}
    return {
        "deployment": {
            "resources": [
                {"urn": NODE, "type": "gpucloud:index:Node", "id": "lambda/i-1", "inputs": inputs,
                 "outputs": {**inputs, "machine": machine}, "protect": True},
                {"urn": INSTALL, "type": "gpucloud:index:Install", "outputs": {"machine": machine},
                 "dependencies": [NODE], "deletedWith": NODE},
                {"urn": GATEWAY, "type": "gpucloud:index:Install", "outputs": {"machine": {"id": "lambda/i-2"}},
                 "dependencies": [INSTALL, NODE], "propertyDependencies": {"bundle": [NODE], "machine": None}},
            ]
        }
    }  # fmt: skip


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgetting, "pulumi", lambda *arguments: json.dumps(state()))


def test_finding_09_the_node_is_found_by_its_key_with_what_is_on_its_machine(exported: None) -> None:
    """Audit 9: a protected node's absence is accepted by a person, who names it."""
    found = forgetting.known_node("s", "a")
    assert found.machine == "lambda/i-1"
    assert found.name == machine_name(Owner("p", "s", "inference", "a", 2))
    assert found.urns == {NODE, INSTALL}


def test_a_key_that_no_node_has_is_told_with_those_that_there_are(exported: None) -> None:
    with pytest.raises(StackError, match=r"no node 'b'.*it has a$"):
        forgetting.known_node("s", "b")


def test_what_is_left_depends_on_nothing_that_is_gone() -> None:
    (gateway,) = forgetting.without(state()["deployment"]["resources"], {NODE, INSTALL})
    assert gateway["urn"] == GATEWAY
    assert gateway["dependencies"] == []
    assert gateway["propertyDependencies"] == {"bundle": [], "machine": []}
