"""Each example configuration ends in a served completion, on emulated vendors whose machines really run.

The vendors' APIs are the emulators of tests/clouds, their machines the sandboxes of tests/support/sandbox.py. For want
of GPUs the engine of the nodes is the simulator; at RunPod (AS_COMMITTED) it is vLLM, with all that brings it there:
exchanged are the image's vLLM and `nvidia-smi` (tests/support/fake_vllm.py), and a folder in place of the weights' hub.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from providers.renting.firstboot import user_data
from providers.renting.hostkeys import one_use
from tests.clouds.server import Boot, Emulator
from tests.clouds.vendors import VENDORS, url_variable
from tests.support import fake_vllm
from tests.support.checkout import Checkout
from tests.support.eventually import eventually
from tests.support.sandbox import Sandboxes, sandboxes
from tests.support.sshd import make_key, public_key

OWNED = {
    "gateway": ("office", "small"),
    "dgx-1": ("hall-1/rack-3", "dgx-a100-80gb"),
    "dgx-2": ("hall-2/rack-1", "dgx-a100-80gb"),
}
"""Machines that are there already, by id: region and SKU."""
OVERRIDES: dict[str, dict[str, Any]] = {"vastai": {"apiKeys": {"openai": "sk-none"}}}
"""The secrets that an example asks for."""
AS_COMMITTED = ("runpod",)
"""Examples whose nodes have vLLM."""
TRIAL = {"expect": "", "loadS": 1}
"""The stand-in for vLLM knows no capital, and a minute is long."""
WEIGHTS = {"source": "path", "path": "/srv/weights", "unverified": True}
FILES = {**fake_vllm.FILES, "srv/weights/config.json": ("{}\n", 0o644), "srv/weights/model.safetensors": ("x", 0o644)}
"""On every machine."""


@dataclass
class World:
    """Emulated vendors, machines that a team owns, and a clone of the project that reaches them."""

    clone: Checkout
    emulators: dict[str, Emulator] = field(default_factory=dict)

    @property
    def billed(self) -> set[str]:
        """Ids of all machines at all vendors, as the state would have them."""
        return {f"{name}/{machine}" for name, e in self.emulators.items() for machine in e.machines}

    @property
    def known(self) -> set[str]:
        """Ids of all machines in the state but those that are owned."""
        resources = self.clone.state()["deployment"].get("resources", [])
        ids = {r["outputs"]["machine"]["id"] for r in resources if r["type"] == "gpucloud:index:Node"}
        return {machine for machine in ids if not machine.startswith("existing/")}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandboxes]:
    with pytest.MonkeyPatch.context() as patch:
        fake = fake_vllm.prepare(tmp_path_factory.mktemp("wheel"), patch, "requirements/litellm.txt")
    with sandboxes(fake.cache) as made:
        made.files, made.image = FILES, fake.image
        yield made


def own(host: Sandboxes, folder: Path) -> Path:
    """Boots the machines that a team owns; the file that lists them."""
    make_key(folder / "identity")
    entries = []
    for name, (region, sku) in OWNED.items():
        host_key = one_use("a key of the team's", name)
        order = Boot(name, (public_key(folder / "identity"),), user_data(host_key), ports=(22, 8000, 8080))
        entries.append(
            {
                "id": name,
                "address": host.boot(order).address,
                "sshUser": "ubuntu",
                "hostKey": host_key.public,
                "identityFile": str(folder / "identity"),
                "region": region,
                "sku": sku,
                "gpus": 8,
                "gpuMemoryGib": 80,
                "supervision": "supervisor",
                "purchaseUsd": 180000,
                "months": 36,
                "watts": 4500,
                "usdPerKwh": 0.18,
            }
        )
    path = folder / "existing.yaml"
    path.write_text(yaml.safe_dump({"machines": entries}))
    return path


@pytest.fixture
def world(request: pytest.FixtureRequest, host: Sandboxes, tmp_path: Path) -> Iterator[World]:
    stack: str = request.param
    with ExitStack() as held:
        clone = Checkout.make(stack)
        held.callback(clone.discard)
        made = World(clone)
        for name, vendor in VENDORS.items():
            emulator = vendor.emulator(host)
            address = held.enter_context(emulator.serving())
            clone.variables |= {url_variable(name): address, vendor.key: emulator.key}
            made.emulators[name] = emulator
        for name in OWNED:
            held.callback(host.end, name)
        clone.variables["CROSSOVER_EXISTING_MACHINES"] = str(own(host, tmp_path))
        tried = {"serving.weights": WEIGHTS, "serving.acceptance": TRIAL}
        change = tried if stack in AS_COMMITTED else {"serving.engine": "simulator"}
        clone.configure({**change, **OVERRIDES.get(stack, {})})
        clone.init()
        yield made


def serves(clone: Checkout) -> set[bool | None]:
    """What `crossover nodes` says of the nodes."""
    nodes = json.loads(clone.run(".venv/bin/crossover", "nodes", "--stack", clone.stack, "--json"))
    return {node["serves"] for node in nodes if node["role"] == "inference"}


def turned_out(clone: Checkout) -> list[dict[str, str]]:
    """What the nodes turned out to have."""
    resources = clone.state()["deployment"]["resources"]
    installs = [r["outputs"] for r in resources if r["type"] == "gpucloud:index:Install"]
    return [outputs["found"] for outputs in installs if outputs["role"] == "inference"]


IN_MIXED = ("lambda", "runpod", "existing")
"""Clouds that `mixed` brings up together: alone they are for `make test-all`."""
EXAMPLES = [
    pytest.param(name, marks=pytest.mark.slow if name in IN_MIXED else ()) for name in (*VENDORS, "existing", "mixed")
]


@pytest.mark.parametrize("world", EXAMPLES, indirect=True)
def test_an_example_ends_in_a_served_completion_and_leaves_nothing(world: World) -> None:
    clone = world.clone
    clone.up("--policy-pack", "policies")
    assert world.billed == world.known
    shown = json.loads(clone.run(".venv/bin/crossover", "endpoint", "--stack", clone.stack, "--json"))
    answer = subprocess.run(["bash", "-c", shown["curl"][0]], capture_output=True, text=True, timeout=60, check=False)
    assert '"choices"' in answer.stdout, answer.stderr
    assert json.loads(answer.stdout)["model"] == "llama-70b"
    if clone.stack in AS_COMMITTED:
        assert {(found["runtime"], found["vllm"]) for found in turned_out(clone)} == {("image", fake_vllm.VERSION)}
    # Prometheus listens on loopback of the gateway's machine: this is its answer, through SSH.
    eventually(lambda: serves(clone) == {True}, "Prometheus has scraped every node")
    again = clone.up("--refresh")
    assert not any(word in again for word in ("created", "updated", "replaced", "deleted")), again
    clone.pulumi("state", "unprotect", "--all", "--yes", "-s", clone.stack)
    clone.pulumi("destroy", "--yes", "--skip-preview", "-s", clone.stack)
    assert world.billed == set()
    assert not list((clone.folder / ".state" / "existing").glob("*.json"))
