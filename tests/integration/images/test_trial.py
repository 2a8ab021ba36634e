"""The trial of a node that serves: the shipped program against the simulator over its real door."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from images.bundle import Bundle
from images.engines import simulator
from images.gpu.acceptance.trial.trying import RECORD
from images.remote.errors import UnsuitableMachine
from images.roles.inference.bundle import TrialOptions, inference_bundle, trial_of
from images.vehicles.ssh.install import InstallReport, install
from tests.integration.images.conftest import Bench
from tests.integration.images.test_inference import NAME, SETTINGS
from tests.support.credentials import Made


class Node:
    """A machine whose simulator is tried out."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.made = bench, Made.of(NAME)
        bench.ports = {"vllm": bench.ports["one"]}
        self.bundle = inference_bundle(simulator.ENGINE, SETTINGS, self.made.ca)

    def tried(self, **asked: Any) -> Bundle:
        return replace(self.bundle, trial=trial_of(SETTINGS, TrialOptions(**asked)))

    def install(self, bundle: Bundle) -> InstallReport:
        self.bench.said.clear()
        host = self.bench.machine.host(self.bench.ports, server_name=NAME)
        return install(
            host, bundle, self.made.secrets(NAME), self.bench.machine.private_key,
            say=self.bench.said.append, cancelled=lambda: False, deadline_s=180,
        )  # fmt: skip

    def record(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads((self.bench.machine.root / RECORD).read_text())
        return value


@pytest.fixture
def node(new_bench: Callable[..., Bench]) -> Node:
    return Node(new_bench())


def test_a_node_is_loaded_once_and_keeps_the_record(node: Node) -> None:
    bundle = node.tried(expect="", load_s=3)
    found = node.install(bundle).found["trial"]
    record = node.record()
    load = record["load"]
    assert load["requests"] > 0
    assert load["failed"] == 0
    assert load["output_tokens_per_s"] > 0
    assert 0 < load["ttft_p50_ms"] <= load["ttft_p99_ms"]
    assert f"{load['output_tokens_per_s']:g} tokens/s out" in found
    assert node.install(bundle).found["trial"] == found
    assert node.record() == record
    assert not any("under load" in said for said in node.bench.said)


def test_a_node_that_answers_wrongly_is_not_accepted_and_ends_until_it_does(node: Node) -> None:
    with pytest.raises(UnsuitableMachine, match="is not accepted: to 'The capital of France is' it answers") as wrong:
        node.install(node.tried(load_s=0))
    assert "'Paris' is not in it" in str(wrong.value)
    assert node.made.outputs["vllmApiKey"] not in str(wrong.value)
    assert not [argv for argv in node.bench.machine.processes().values() if "simulator" in argv]
    assert not (node.bench.machine.root / RECORD).exists()
    assert node.install(node.tried(expect="", load_s=0)).found["trial"].startswith("a known answer on ")
