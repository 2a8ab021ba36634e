"""The launching clouds on the real engine, each at its emulator: which machines bill, by their ids at the cloud."""

from __future__ import annotations

import random
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.clouds.server import HIDING, Boot, Booted, Emulator, Fault, Nowhere
from tests.clouds.vendors import VENDORS, Vendor, url_variable
from tests.engine.conftest import Project
from tests.support.checkout import ended

DRAWN = [fault for fault in Fault if fault not in HIDING]
"""The others are drawn in tests/contract, on a test clock."""
PLUGIN = Path(__file__).parent / "paper_plugin"
FLEET = """
    import pulumi
    from providers.resources import Credentials, Node

    credentials = Credentials("credentials", nodes=["a", "b"], generation=1)
    for key, regions in {ladders}.items():
        Node(
            key, key=key, role="inference", generation={generation}.get(key, 1),
            candidates=[
                {{"cloud": "{cloud}", "region": region, "sku": "{sku}", "maxUsdPerHour": 30}} for region in regions
            ],
            ports={{"ssh": 22, "vllm": 8000}}, ssh_public_key=credentials.sshPublicKey,
            ssh_private_key=credentials.sshPrivateKey, stack_id=credentials.stack_id, deadline_s=30,
            settings={{"{cloud}": {settings}}},
        )
"""


class Diary(Nowhere):
    """Nowhere, and in which order machines were booted and ended."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[tuple[str, str]] = []

    def boot(self, order: Boot) -> Booted:
        self.events.append(("boot", order.machine_id))
        return super().boot(order)

    def end(self, machine_id: str) -> None:
        self.events.append(("end", machine_id))
        super().end(machine_id)


@dataclass
class Site:
    """A stack of two nodes at one cloud. `a` climbs from the first region to the second, `b` has the third alone."""

    cloud: str
    vendor: Vendor[Any]
    project: Project
    emulator: Emulator

    @property
    def machines(self) -> list[str]:
        """Ids of what bills now, as the vendor knows them."""
        return sorted(self.emulator.machines)

    @property
    def diary(self) -> list[tuple[str, str]]:
        assert isinstance(self.emulator.host, Diary)
        return self.emulator.host.events

    def program(self, generation: dict[str, int] | None = None) -> None:
        first, second, third = self.vendor.regions
        ladders = {"a": [first, second], "b": [third]}
        self.project.program(
            FLEET.format(
                cloud=self.cloud, sku=self.vendor.sku, settings=self.vendor.settings, ladders=ladders,
                generation=generation or {},
            )
        )  # fmt: skip

    def in_state(self) -> dict[str, str]:
        """Key → id at the cloud, of every Node in the state."""
        nodes = [r for r in self.project.state() if r["type"] == "gpucloud:index:Node"]
        return {r["inputs"]["key"]: r["outputs"]["machine"]["id"].partition("/")[2] for r in nodes}

    def agreed(self) -> dict[str, str]:
        """Key → id. Asserts that the machines at the cloud are those in the state."""
        known = self.in_state()
        assert self.machines == sorted(known.values())
        return known


SITES = [pytest.param(name, marks=pytest.mark.slow if name == "runpod" else ()) for name in VENDORS]
"""One cloud of VMs and one of containers, and for `make test-all` the others: the engine is the same for all, and what
a client does is held by tests/contract."""


@pytest.fixture(params=SITES)
def site(request: pytest.FixtureRequest, project: Project) -> Iterator[Site]:
    """Each cloud in turn."""
    vendor = VENDORS[request.param]
    made = Site(request.param, vendor, project, vendor.emulator(Diary(), key=secrets.token_hex(16)))
    project.use_plugin(PLUGIN)
    with made.emulator.serving() as url:
        project.env |= {url_variable(made.cloud): url, vendor.key: made.emulator.key}
        made.program()
        yield made


def test_each_way_to_replace_a_node_leaves_the_right_machines_and_destroy_leaves_none(site: Site) -> None:
    site.project.up()
    first = site.agreed()
    assert set(first) == {"a", "b"}
    site.project.run("state", "taint", site.project.resource("a")["urn"], "--yes")
    site.project.up()
    tainted = replaced(site, first)
    site.project.up("--target-replace", site.project.resource("a")["urn"])
    targeted = replaced(site, tainted)
    site.project.up("--replace", site.project.resource("a")["urn"])
    forced = replaced(site, targeted)
    site.program(generation={"a": 2})
    site.project.up()
    replaced(site, forced)
    site.project.run("destroy", "--yes", "--skip-preview")
    assert site.machines == []
    assert not site.vendor.leftovers(site.emulator)


def replaced(site: Site, before: dict[str, str]) -> dict[str, str]:
    """Asserts that `a`, and nothing else, is another machine, made after the old one had ended."""
    after = site.agreed()
    assert after["b"] == before["b"]
    assert after["a"] != before["a"]
    assert site.diary.index(("end", before["a"])) < site.diary.index(("boot", after["a"]))
    return after


def test_a_sold_out_first_rung_lands_on_the_second_and_says_why(site: Site) -> None:
    first, second, third = site.vendor.regions
    sku = site.vendor.sku
    site.vendor.sell_out(site.emulator, first)
    assert f"no capacity: {site.cloud}/{first}/{sku}: {site.cloud} has no {sku}" in site.project.up()
    known = site.agreed()
    assert [site.vendor.region_of(site.emulator, known[key]) for key in ("a", "b")] == [second, third]


@pytest.mark.parametrize("last", ["up", "destroy"])
def test_after_any_faults_the_bill_is_what_the_state_knows(site: Site, last: str) -> None:
    """Seeded sequences, each from what the one before it left: three that end with `up`, two with `destroy`."""
    for seed in {"up": (0, 1, 2), "destroy": (3, 4)}[last]:
        rng = random.Random(seed)
        steps = [(rng.choice(("up", "up", "refresh", "destroy")), rng.sample(DRAWN, k=2)) for _ in range(2)]
        for step, faults in steps:
            for fault in faults:
                site.emulator.inject(fault)
            attempt(site, step)
        site.emulator.faults.clear()
        site.project.run(last, "--refresh", "--yes", "--skip-preview")
        assert set(site.agreed()) == ({"a", "b"} if last == "up" else set()), (seed, steps)


def attempt(site: Site, step: str) -> None:
    """What may fail, as its cloud does not behave."""
    said = ended(site.project.start(step, "--yes", "--skip-preview"), timeout_s=240)
    assert "bug in gpucloud" not in said
    assert site.emulator.key not in said
