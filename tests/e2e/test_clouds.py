"""Each example configuration, as committed, ends in a tool call through the gateway, on emulated vendors whose machines
really run.

The vendors' APIs are the emulators of tests/clouds, their machines bare sandboxes with nothing but sshd and an apt.
What is exchanged is named in tests/support/committed.py, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from images.bundle import RuntimeKind
from stacks import runtime
from tests.clouds.vendors import VENDORS
from tests.support import fake_vllm
from tests.support.checkout import Checkout
from tests.support.committed import DRIVER, MODEL, MODEL_FILES, TOKEN, Committed, calls_a_tool, committed
from tests.support.eventually import eventually
from tests.support.examples import World, example
from tests.support.hub import COMMIT

pytestmark = pytest.mark.timeout(1800)
"""A whole stack from nothing: 3 to 5 minutes, and 10 were seen beside other work."""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Committed]:
    with committed(tmp_path_factory.mktemp("committed")) as made:
        yield made


@pytest.fixture
def world(request: pytest.FixtureRequest, host: Committed, tmp_path: Path) -> Iterator[World]:
    with example(request.param, host, tmp_path) as made:
        yield made


def serves(clone: Checkout) -> set[bool | None]:
    """What `crossover nodes` says of the nodes."""
    nodes = clone.told(".venv/bin/crossover", "nodes", "--stack", clone.stack, "--json")
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


LEFT = ("lambda", "runpod", "existing", "vastai")
"""Clouds for `make test-all`: `mixed` brings the first three up together, and Vast.ai's machines are containers, as
RunPod's are."""
EXAMPLES = [
    pytest.param(name, marks=pytest.mark.slow if name in LEFT else ()) for name in (*VENDORS, "existing", "mixed")
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
    eventually(lambda: serves(clone) == {True}, "Prometheus has scraped every node", deadline_s=120)
    again = clone.up("--refresh")
    assert not any(word in again for word in ("created", "updated", "replaced", "deleted")), again
    clone.pulumi("state", "unprotect", "--all", "--yes", "-s", clone.stack)
    clone.pulumi("destroy", "--yes", "--skip-preview", "-s", clone.stack)
    assert world.billed == set()
    assert not list((clone.folder / ".state" / "existing").glob("*.json"))
