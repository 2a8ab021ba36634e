"""The example configuration for AWS, as committed, ends in a tool call: the whole program, HashiCorp's real provider,
moto's API, and instances that are bare sandbox machines with systemd, booted with what RunInstances carried.

What is exchanged is named in tests/support/committed.py. No image has a driver here, as the DLAMI has: it is installed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import sandbox_systemd
from tests.support.aws import PROVIDER, STANDARD, P, Region, plugin
from tests.support.checkout import Checkout
from tests.support.committed import calls_a_tool, committed
from tests.support.moto import running

pytestmark = pytest.mark.timeout(1800)
"""A whole stack from nothing: 3 to 5 minutes, and 10 were seen beside other work."""

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
    with committed(tmp_path) as host, running(host) as moto:
        region = Region(moto, "us-west-2")
        moto.stand_in.vcpus = {P: 288, STANDARD: 2}
        moto.stand_in.image = region.images()[0]
        clone = Checkout.make("aws")
        clone.variables |= {**moto.environment, **aws.environment(os.environ["PATH"])}
        clone.leaves, clone.timeout_s = PROVIDER, 900
        try:
            host.exchange(clone)
            clone.init()
            host.tell_secret(clone)
            yield World(region, clone)
        finally:
            clone.discard()


@pytest.mark.slow  # tests/engine/test_aws.py has the machines, `mixed` the tool call
def test_the_example_serves_replaces_one_node_and_leaves_nothing(world: World) -> None:
    """A tool call after `up`, an unchanged second one, a raised generation for that node alone, `destroy`."""
    clone, region = world.clone, world.region
    before = region.things()
    clone.up("--policy-pack", "policies")
    first = region.instances()
    assert sorted(first) == ["a", "b", "c", "gateway"]
    assert world.billed == world.known
    calls_a_tool(clone)
    assert not any(word in clone.up("--refresh") for word in CHANGES)

    clone.configure({"generations": {"a": 2}})
    assert "protect" in clone.up(fails=True)
    assert region.instances() == first
    clone.pulumi("state", "unprotect", "--all", "--yes", "-s", "aws")
    clone.up("--policy-pack", "policies")
    assert world.billed == world.known
    assert [key for key, i in region.instances().items() if i["InstanceId"] != first[key]["InstanceId"]] == ["a"]
    calls_a_tool(clone)

    clone.pulumi("state", "unprotect", "--all", "--yes", "-s", "aws")
    clone.pulumi("destroy", "--yes", "--skip-preview", "-s", "aws")
    assert world.billed == world.known == set()
    assert region.things() == before
