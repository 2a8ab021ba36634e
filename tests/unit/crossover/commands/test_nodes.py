"""`crossover nodes` says how a node was accepted, or why it is not."""

from __future__ import annotations

import pytest

from images.vehicles.ssh.steps.examination import GPUS_FOUND
from images.vehicles.ssh.steps.trial import TRIAL_FOUND
from scripts.crossover.commands.nodes import acceptance
from scripts.crossover.stack import state


def test_what_was_found_is_told_and_a_failure_instead_of_it() -> None:
    found = {"driver": "580.95.05", TRIAL_FOUND: "812 tokens/s out", GPUS_FOUND: "passed by 8 GPUs"}
    assert acceptance({"initErrors": [], "found": found}) == "passed by 8 GPUs; 812 tokens/s out"
    refused = "10.1.2.3 is not accepted. GPU 3 fell off the bus: give the machine back"
    assert acceptance({"initErrors": [f"{refused}\nmore"], "found": found}) == refused
    assert acceptance({}) == acceptance({"initErrors": [], "found": {}}) == ""


def test_installs_are_known_by_their_names_with_why_they_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    urn = "urn:pulumi:p::s::gpucloud:index:Install::a-inference"
    install = {"type": "gpucloud:index:Install", "urn": urn, "outputs": {"found": {"x": "y"}}, "initErrors": ["no"]}
    monkeypatch.setattr(state, "resources", lambda _: [install, {**install, "delete": True}, {"type": "other"}])
    assert state.installs("s") == {"a-inference": {"initErrors": ["no"], "found": {"x": "y"}}}
