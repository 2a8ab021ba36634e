"""A state and an account recorded at the commit before stacks had identities (a310070): `up` changes nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from pulumi.provider.experimental.provider import DiffRequest

from images.remote.waiting import Waiting
from providers.plugin.credentials import MADE, CredentialsHandler
from providers.plugin.install import InstallHandler
from providers.plugin.node import NodeHandler
from providers.plugin.provider import Gpucloud
from providers.plugin.values import Plain, wrapped_map
from strict.names import CREDENTIALS, INSTALL, NODE
from tests.clouds.lambdalabs import Instance, LambdaEmulator
from tests.clouds.lambdalabs_bodies import Launch
from tests.clouds.runpod import Pod, RunpodEmulator
from tests.clouds.server import Boot, Booted, Emulator
from tests.clouds.vastai import Contract, VastaiEmulator
from tests.clouds.vendors import VENDORS
from tests.contract.conftest import Trial, at_vendor

RECORDED = Path(__file__).parent / "accounts_of_a310070"
"""One file a vendor: the nodes a and b in contact, as the handler of then left them, and what the emulator had. Host
keys are left out."""
LONG_AGO_S = -3600.0


def restored(emulator: Emulator, account: Plain) -> None:
    """The account as it was."""
    if isinstance(emulator, LambdaEmulator):
        emulator.rulesets.update(account["rulesets"])
        emulator.ssh_keys.update(account["ssh_keys"])
        for one in account["instances"]:
            booted = Booted(one["address"], {22: 22, 8000: 8000, 8443: 8443})
            emulator.instances[one["id"]] = Instance(
                one["id"], Launch.model_validate(one["launch"]), booted, LONG_AGO_S
            )
    elif isinstance(emulator, RunpodEmulator):
        for one in account["pods"]:
            price, where = one["usd_per_hour"], one["data_center"]
            pod = Pod(one["id"], one["order"], price, where, LONG_AGO_S, 0.0, _booted(one))
            emulator.pods[pod.id] = pod
            emulator.stock[where] -= pod.gpus
    else:
        assert isinstance(emulator, VastaiEmulator)
        for one in account["contracts"]:
            emulator.contracts[one["id"]] = Contract(
                one["id"], one["offer"], one["order"], LONG_AGO_S, 0.0, _booted(one)
            )
    for machine in emulator.machines:
        emulator.host.boot(Boot(machine))


def _booted(one: Plain) -> Booted:
    return Booted(one["address"], {int(inner): outer for inner, outer in one["ports"].items()})


class Stack:
    """What the engine does with a node, on the recorded state."""

    def __init__(self, trial: Trial, nodes: dict[str, Any]) -> None:
        self.trial = trial
        self.nodes = nodes
        self.handler = NodeHandler(lambda _: trial.cloud)

    def inputs(self, key: str) -> Plain:
        """What the program of today says."""
        known = {name: value for name, value in self.nodes[key]["outputs"].items() if name in self.handler.inputs}
        return {**deepcopy(known), "stackId": "1a2b3c4d"}

    def waiting(self) -> Waiting:
        return self.trial.waiting()


@pytest.fixture(params=list(VENDORS))
def stack(
    request: pytest.FixtureRequest, on_paper: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Stack]:
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{tmp_path}")
    recorded = json.loads((RECORDED / f"{request.param}.json").read_text())
    with at_vendor(request.param) as trial:
        assert trial.emulator is not None
        restored(trial.emulator, recorded["account"])
        yield Stack(trial, recorded["nodes"])


def changes(token: str, handler: Any, olds: Plain, news: Plain) -> bool:
    urn = f"urn:pulumi:s::p::{token}::a"
    old, new = wrapped_map(olds, handler.secret), wrapped_map(news, handler.secret)
    plugin = Gpucloud({token: handler}, lambda *_: None)
    answer = asyncio.run(plugin.diff(DiffRequest(urn, "id", old, new, [])))
    return bool(answer.changes)


def test_a_preview_shows_no_change_of_nodes_credentials_and_installs(stack: Stack) -> None:
    """Audit 4: they get an identity, and nobody sees a difference."""
    for key, node in stack.nodes.items():
        assert not changes(NODE, stack.handler, node["outputs"], stack.inputs(key))
    credentials = {"nodes": ["a"], "generation": 1, **dict.fromkeys(MADE, "made")}
    assert not changes(CREDENTIALS, CredentialsHandler(), credentials, {"nodes": ["a"], "generation": 1})
    installer: Any = None
    install = InstallHandler(installer, lambda _: stack.trial.cloud, ["lambda"])
    installed = {name: "as it was" for name in install.inputs if name != "stackId"} | {"deadlineS": 9}
    assert not changes(INSTALL, install, installed, {**installed, "stackId": "1a2b3c4d"})


def test_a_refresh_finds_what_the_state_says_and_sends_nothing_that_changes(stack: Stack) -> None:
    """Audit 4: marks of before are the state's by their ids."""
    emulator = stack.trial.emulator
    assert emulator is not None
    machines = emulator.machines
    for node in stack.nodes.values():
        read = stack.handler.read(node["id"], node["outputs"], stack.waiting())
        assert read == ({k: v for k, v in node["outputs"].items() if k in stack.handler.inputs}, node["outputs"])
    assert [seen for seen in emulator.seen if seen.method not in ("GET", "POST") or "launch" in seen.path] == []
    assert emulator.machines == machines


def test_a_change_keeps_the_machine_and_one_outside_the_state_is_adopted_once(stack: Stack) -> None:
    """Audit 4: an older mark outside the state is adopted by proof of the host key, and not a second time."""
    machines = stack.trial.billed()
    node = stack.nodes["a"]
    outputs = stack.handler.update(node["id"], node["outputs"], stack.inputs("a"), stack.waiting())
    assert outputs["machine"] == node["outputs"]["machine"]
    for _ in range(2):
        adopted, outputs = stack.handler.create("urn", stack.inputs("b"), stack.waiting())
        assert (adopted, outputs["machine"]) == (stack.nodes["b"]["id"], stack.nodes["b"]["outputs"]["machine"])
        assert stack.trial.billed() == machines


def test_a_node_that_is_added_is_the_stacks_by_its_identity_and_keeps_clear_of_its_siblings(stack: Stack) -> None:
    """Audit 4: failure domains count machines of before as siblings."""
    inputs = {**stack.inputs("a"), "key": "c"}
    region = stack.nodes["a"]["outputs"]["candidates"][0]["region"]
    vendor = VENDORS[stack.trial.cloud.name]
    rungs = [{**inputs["candidates"][0], "region": one} for one in (region, *vendor.regions)]
    _, outputs = stack.handler.create("urn", {**inputs, "candidates": rungs}, stack.waiting())
    taken = [node["outputs"]["failureDomain"] for node in stack.nodes.values()]
    assert outputs["failureDomain"] not in taken
    made = stack.trial.cloud.get(outputs["machine"]["id"].partition("/")[2])
    assert made.owner is not None
    assert made.owner.stack_id == "1a2b3c4d"
