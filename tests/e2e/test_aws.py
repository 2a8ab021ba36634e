"""The example configuration for AWS ends in a served completion: the whole program, HashiCorp's real provider, moto's
API, and instances that are sandbox machines with systemd, booted with what RunInstances carried.

Only the engine of the nodes is another one: the simulator, for want of GPUs.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import sandbox_systemd
from tests.support.aws import PROVIDER, STANDARD, P, Region, plugin
from tests.support.checkout import Checkout
from tests.support.moto import running
from tests.support.sandbox import REQUIREMENTS, prepare_cache, sandboxes

CHANGES = ("created", "updated", "replaced", "deleted")


@dataclass(frozen=True)
class World:
    """The region of the example, and a clone of the project whose AWS it is."""

    region: Region
    clone: Checkout

    @property
    def billed(self) -> set[str]:
        """Ids of instances that live."""
        return {instance["InstanceId"] for instance in self.region.instances().values()}

    @property
    def known(self) -> set[str]:
        """Ids of instances in the state."""
        resources = self.clone.state()["deployment"].get("resources", [])
        return {r["id"] for r in resources if r["type"] == "aws:ec2/instance:Instance"}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    aws = plugin(tmp_path)
    if reason := sandbox_systemd.missing():
        pytest.skip(reason)
    cache = prepare_cache(requirements=(*REQUIREMENTS, "requirements/litellm.txt"))
    with sandboxes(cache) as host, running(host) as moto:
        region = Region(moto, "us-west-2")
        moto.stand_in.vcpus = {P: 288, STANDARD: 2}
        moto.stand_in.image = region.images()[0]
        clone = Checkout.make("aws")
        clone.variables |= {**moto.environment, **aws.environment(os.environ["PATH"])}
        clone.leaves = PROVIDER
        try:
            clone.configure({"serving.engine": "simulator"})
            clone.init()
            yield World(region, clone)
        finally:
            clone.discard()


def serves(clone: Checkout) -> None:
    """Asserts that the line which `crossover endpoint` prints gets a completion."""
    shown = json.loads(clone.run(".venv/bin/crossover", "endpoint", "--stack", "aws", "--json"))
    answer = subprocess.run(["bash", "-c", shown["curl"][0]], capture_output=True, text=True, timeout=60, check=False)
    assert '"choices"' in answer.stdout, answer.stderr
    assert '"model": "llama-70b"' in answer.stdout


@pytest.mark.slow  # tests/engine/test_aws.py has the machines, `mixed` the served completion
def test_the_example_serves_replaces_one_node_and_leaves_nothing(world: World) -> None:
    """A completion after `up`, an unchanged second one, a raised generation for that node alone, `destroy`."""
    clone, region = world.clone, world.region
    before = region.things()
    clone.up("--policy-pack", "policies")
    first = region.instances()
    assert sorted(first) == ["a", "b", "c", "gateway"]
    assert world.billed == world.known
    serves(clone)
    assert not any(word in clone.up("--refresh") for word in CHANGES)

    clone.configure({"generations": {"a": 2}})
    assert "protect" in clone.up(fails=True)
    assert region.instances() == first
    clone.pulumi("state", "unprotect", "--all", "--yes", "-s", "aws")
    clone.up("--policy-pack", "policies")
    assert world.billed == world.known
    assert [key for key, i in region.instances().items() if i["InstanceId"] != first[key]["InstanceId"]] == ["a"]
    serves(clone)

    clone.pulumi("state", "unprotect", "--all", "--yes", "-s", "aws")
    clone.pulumi("destroy", "--yes", "--skip-preview", "-s", "aws")
    assert world.billed == world.known == set()
    assert region.things() == before
