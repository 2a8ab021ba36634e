"""A node whose machine is gone leaves the state with what is installed on it, and nothing else does."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from providers.base import Owner
from providers.renting.memory.journal import Journal
from providers.renting.naming import machine_name
from scripts.crossover.stack import state as kept
from scripts.crossover.stack.engine import StackError
from scripts.crossover.stack.surgery import forgetting

NODE = "urn:pulumi:s::p::crossover:index:Fleet$gpucloud:index:Node::a"
INSTALL = "urn:pulumi:s::p::crossover:index:Fleet$gpucloud:index:Install::a-install"
GATEWAY = "urn:pulumi:s::p::gpucloud:index:Install::gateway"


def state() -> dict[str, Any]:
    inputs = {"key": "a", "role": "inference", "project": "p", "stack": "s", "generation": 2, "stackId": "1a2b"}
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
    monkeypatch.setattr(kept, "pulumi", lambda *arguments: json.dumps(state()))


def test_finding_09_the_node_is_found_by_its_key_with_what_is_on_its_machine(exported: None) -> None:
    """Audit 9: a protected node's absence is accepted by a person, who names it. The machine's name holds the stack's
    identity: by another one the next `up` would not look for it."""
    found = forgetting.known_node("s", "a")
    assert found.machine == "lambda/i-1"
    assert found.name == machine_name(Owner("p", "s", "inference", "a", 2, "1a2b"))
    assert found.urns == {NODE, INSTALL}


def test_a_key_that_no_node_has_is_told_with_those_that_there_are(exported: None) -> None:
    with pytest.raises(StackError, match=r"no node 'b'.*it has a$"):
        forgetting.known_node("s", "b")


def test_of_nodes_with_one_key_the_machine_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    """Audit 9: a fleet's node and a gateway's may be called alike, and the wrong one would leave the state."""
    both = state()
    [node, *_] = both["deployment"]["resources"]
    gateway = {**node, "urn": GATEWAY, "outputs": {"machine": {"id": "lambda/i-2"}}}
    gateway["inputs"] = {**node["inputs"], "role": "gateway"}
    both["deployment"]["resources"] = [gateway, node]
    monkeypatch.setattr(kept, "pulumi", lambda *arguments: json.dumps(both))
    with pytest.raises(StackError, match=r"2 nodes 'a': name one of lambda/i-2, lambda/i-1$"):
        forgetting.known_node("s", "a")
    assert forgetting.known_node("s", "lambda/i-1").urns == {NODE}


def test_what_is_left_depends_on_nothing_that_is_gone() -> None:
    (gateway,) = forgetting.without(state()["deployment"]["resources"], {NODE, INSTALL})
    assert gateway["urn"] == GATEWAY
    assert gateway["dependencies"] == []
    assert gateway["propertyDependencies"] == {"bundle": [], "machine": []}


def test_the_import_drops_pending_creates_so_the_journal_has_them_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Audit 3: on a CI runner the pending create in the state is all that is known of it."""
    given = {
        "key": "b", "role": "inference", "project": "p", "stack": "s", "generation": 1, "stackId": "1a2b",
        "candidates": [{"cloud": "lambda", "region": "us-east-1", "sku": "x"}],
    }  # fmt: skip
    resource = {"type": "gpucloud:index:Node", "inputs": given}
    pending = {"pending_operations": [{"type": "creating", "resource": resource}]}
    exported = {"deployment": {**state()["deployment"], **pending}}
    monkeypatch.setattr(kept, "pulumi", lambda *arguments: json.dumps(exported))
    journal = Journal(tmp_path / "intents")
    imported: list[str] = []

    def imports(command: list[str], **given: Any) -> subprocess.CompletedProcess[str]:
        assert [intent.name for intent in journal.open()] == [
            machine_name(Owner("p", "s", "inference", "b", 1, "1a2b"))
        ]
        imported.append(given["input"])
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", imports)
    forgetting.forget("s", forgetting.known_node("s", "a"), journal)
    [written] = imported
    assert [r["urn"] for r in json.loads(written)["deployment"]["resources"]] == [GATEWAY]
