"""Each example configuration, as committed, ends in a tool call through the gateway, on emulated vendors whose machines
really run.

The vendors' APIs are the emulators of tests/clouds, their machines bare sandboxes with nothing but sshd and an apt.
What is exchanged is named in tests/support/committed.py, and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from images.bundle import RuntimeKind
from providers.renting.firstboot import user_data
from providers.renting.hostkeys import one_use
from stacks import runtime
from tests.clouds.server import Boot, Emulator
from tests.clouds.vendors import VENDORS, url_variable
from tests.support import fake_vllm
from tests.support.checkout import Checkout
from tests.support.committed import DRIVER, MODEL, MODEL_FILES, TOKEN, Committed, calls_a_tool, committed
from tests.support.eventually import eventually
from tests.support.hub import COMMIT
from tests.support.sshd import make_key, public_key

OWNED = {
    "gateway": ("office", "small"),
    "dgx-1": ("hall-1/rack-3", "dgx-a100-80gb"),
    "dgx-2": ("hall-2/rack-1", "dgx-a100-80gb"),
}
"""Machines that are there already, by id: region and SKU."""
OVERRIDES: dict[str, dict[str, Any]] = {"vastai": {"apiKeys": {"openai": "sk-none"}}}
"""The secrets that an example asks for."""
OWNED_OF = {"existing": tuple(OWNED)}
"""Those of them that an example uses, where it is more than the gateway."""


@dataclass
class World:
    """Emulated vendors, machines that a team owns, and a clone of the project that reaches them."""

    clone: Checkout
    host: Committed
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
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Committed]:
    with committed(tmp_path_factory.mktemp("committed")) as made:
        yield made


def own(host: Committed, names: Iterable[str], folder: Path) -> Path:
    """Boots machines that a team owns; the file that lists them."""
    make_key(folder / "identity")
    entries = []
    for name in names:
        region, sku = OWNED[name]
        host_key = one_use("a key of the team's", name)
        order = Boot(name, (public_key(folder / "identity"),), user_data(host_key), ports=(22, 8000, 8080))
        entries.append(
            {
                "id": name,
                "address": host.boot(order, gpus=name != "gateway").address,
                "sshUser": "ubuntu",
                "hostKey": host_key.public,
                "identityFile": str(folder / "identity"),
                "region": region,
                "sku": sku,
                "gpus": 8,
                "gpuMemoryGib": 80,
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
def world(request: pytest.FixtureRequest, host: Committed, tmp_path: Path) -> Iterator[World]:
    stack: str = request.param
    with ExitStack() as held:
        clone = Checkout.make(stack)
        clone.timeout_s = 600
        held.callback(clone.discard)
        made = World(clone, host)
        for name, vendor in VENDORS.items():
            emulator = vendor.emulator(host)
            address = held.enter_context(emulator.serving())
            clone.variables |= {url_variable(name): address, vendor.key: emulator.key}
            made.emulators[name] = emulator
        owned = OWNED_OF.get(stack, ("gateway",))
        for name in owned:
            held.callback(host.end, name)
        clone.variables["CROSSOVER_EXISTING_MACHINES"] = str(own(host, owned, tmp_path))
        host.exchange(clone)
        clone.configure(OVERRIDES.get(stack, {}))
        clone.init()
        host.tell_secret(clone)
        yield made


def serves(clone: Checkout) -> set[bool | None]:
    """What `crossover nodes` says of the nodes."""
    nodes = json.loads(clone.run(".venv/bin/crossover", "nodes", "--stack", clone.stack, "--json"))
    return {node["serves"] for node in nodes if node["role"] == "inference"}


def kinds(clone: Checkout) -> dict[str, dict[str, RuntimeKind]]:
    """Node → cloud of its ladder → how vLLM gets there."""
    path = clone.folder / "stacks" / "config" / f"Pulumi.{clone.stack}.yaml"
    config = yaml.safe_load(path.read_text())["config"]
    wanted = config["crossover:serving"].get("runtime")
    nodes = config["crossover:fleet"]["nodes"]
    return {
        key: {rung["cloud"]: runtime.runtime_at(rung["cloud"], wanted) for rung in node["candidates"]}
        for key, node in nodes.items()
    }


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
def test_an_example_ends_in_a_tool_call_and_leaves_nothing(world: World) -> None:
    clone, ladders = world.clone, kinds(world.clone)
    sent = sum(world.host.hub.sent.values())
    told = clone.pulumi("up", "-s", clone.stack, "--yes", "--policy-pack", "policies")
    for line in (line for key, clouds in ladders.items() for line in runtime.told(key, clouds, {})):
        assert line in told, told
    assert f"no record of {MODEL}@{COMMIT} is pinned" in told
    assert TOKEN not in told
    assert world.billed == world.known
    # One node fetches, and the others copy from it: at Lambda the firewall lets them in at one another's SSH.
    assert sum(world.host.hub.sent.values()) - sent == sum(map(len, MODEL_FILES.values()))
    found = turned_out(clone)
    assert len(found) == len(ladders)
    for of in found:
        assert of["vllm"] == fake_vllm.VERSION
        assert of["driver"] == {"environment": DRIVER, "image": fake_vllm.DRIVER}[of["runtime"]]
        assert f"{MODEL}@{COMMIT}" in of["weights"]
        assert of["trial"]
        assert of["gpu checks"].startswith("passed by 8 GPUs")
    calls_a_tool(clone)
    # Prometheus listens on loopback of the gateway's machine: this is its answer, through SSH.
    eventually(lambda: serves(clone) == {True}, "Prometheus has scraped every node")
    again = clone.up("--refresh")
    assert not any(word in again for word in ("created", "updated", "replaced", "deleted")), again
    clone.pulumi("state", "unprotect", "--all", "--yes", "-s", clone.stack)
    clone.pulumi("destroy", "--yes", "--skip-preview", "-s", clone.stack)
    assert world.billed == set()
    assert not list((clone.folder / ".state" / "existing").glob("*.json"))
