"""What every cloud of the registry is tried with. A cloud that has no entry here fails `test_every_cloud_is_tried`."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

import providers.rent
from providers.base import Cloud, Machine, NodeSpec, Owner
from providers.blocklist import Blocklist
from providers.existing.cloud import ExistingCloud
from providers.existing.config import ExistingConfig
from providers.hostkeys import one_use
from providers.lambdalabs.client import LambdaClient
from providers.lambdalabs.cloud import LambdaCloud
from providers.lambdalabs.config import LambdaConfig
from providers.local.client import LocalClient
from providers.local.cloud import LocalCloud
from providers.local.config import LocalConfig
from providers.rent import contact
from providers.runpod.client import RunpodClient
from providers.runpod.cloud import RunpodCloud
from providers.runpod.config import RunpodConfig
from providers.vastai.client import VastaiClient
from providers.vastai.cloud import VastaiCloud
from providers.vastai.config import VastaiConfig
from providers.waiting import Waiting
from tests.clouds.lambdalabs import LambdaEmulator
from tests.clouds.runpod import RunpodEmulator
from tests.clouds.server import Boot, Emulator, Nowhere
from tests.clouds.vastai import VastaiEmulator
from tests.support import sshd
from tests.support.clouds import Clock
from tests.support.owned import owned
from tests.support.paper import answers_at_once

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE2Z1Wb2GJCbvgdM3dFVgk0UsCMfJWSMkBYGDpLbPVxX"
PRIVATE = "the stack's SSH key"


@dataclass(frozen=True, slots=True)
class Trial:
    """A cloud to be tried, where it can be launched, and how to look at it and to harm it behind its back."""

    cloud: Cloud
    region: str
    sku: str
    kill: Callable[[str], None]
    """Makes a machine vanish."""
    billed: Callable[[], list[str]]
    """Ids of what costs money now, asked of the vendor and not of our client."""
    emulator: Emulator | None = None
    """Takes faults; None for a cloud without a transport of its own."""
    clock: Clock | None = None
    """The emulator's, on which nobody really waits."""
    regions: tuple[str, ...] = ()
    """More regions, for a second node."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What a section must name there."""

    @property
    def sections(self) -> dict[str, Mapping[str, Any]]:
        """As a stack has them."""
        return {self.cloud.name: self.settings}

    @property
    def orders(self) -> dict[str, Boot]:
        """What the vendor was asked to boot, by machine id."""
        assert self.emulator is not None
        assert isinstance(self.emulator.host, Nowhere)
        return self.emulator.host.orders

    def spec(self, name: str = "n", **changes: object) -> NodeSpec:
        """A node to launch there."""
        values: dict[str, object] = {
            "name": name, "owner": Owner("p", "s", "inference", "a", 1), "region": self.region, "sku": self.sku,
            "ssh_public_key": KEY, "ports": {"ssh": 22, "vllm": 8000}, "host_key": one_use(PRIVATE, name),
            "max_usd_per_hour": Decimal(30), "settings": self.settings,
            **changes,
        }  # fmt: skip
        return NodeSpec(**values)  # type: ignore[arg-type]

    def ready(self, name: str = "n") -> Machine:
        """A machine in contact."""
        return contact(self.cloud.launch(self.spec(name)), self.cloud, PRIVATE, 60, self.waiting())

    def waiting(self) -> Waiting:
        """What long work is given here."""
        return Waiting() if self.clock is None else self.clock.waiting()


@pytest.fixture
def local() -> Iterator[Trial]:
    folder = Path(tempfile.mkdtemp(prefix="xo-"))
    client = LocalClient(LocalConfig(state=folder / "s", cache=folder / "c"))
    try:
        yield Trial(LocalCloud(client), "bay-1", "small", client.destroy, client.ids)
    finally:
        for machine_id in client.ids():
            client.destroy(machine_id)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def lambdalabs() -> Iterator[Trial]:
    clock = Clock()
    emulator = LambdaEmulator(Nowhere(), clock)
    with emulator.serving() as url:
        client = LambdaClient(LambdaConfig(emulator.key, url), clock=clock, sleep=clock.sleep)
        yield Trial(
            LambdaCloud(client), "us-east-1", "gpu_8x_a100_80gb_sxm4", emulator.vanish, lambda: emulator.machines,
            emulator, clock, ("us-west-1",), {"sourceNetworks": ["203.0.113.7/32"]},
        )  # fmt: skip


@pytest.fixture
def runpod() -> Iterator[Trial]:
    clock = Clock()
    emulator = RunpodEmulator(Nowhere(), clock)
    with emulator.serving() as url:
        client = RunpodClient(RunpodConfig(emulator.key, url), clock=clock, sleep=clock.sleep, paces=())
        yield Trial(
            RunpodCloud(client), "US-KS-2", "8x-a100-sxm-80gb-secure", emulator.vanish, lambda: emulator.machines,
            emulator, clock, ("EU-RO-1",),
        )  # fmt: skip


@pytest.fixture
def existing() -> Iterator[Trial]:
    """Two machines that are there already: two sshd of this computer."""
    folder = Path(tempfile.mkdtemp(prefix="xo-"))
    with sshd.machine(folder / "a", folder / "c") as a, sshd.machine(folder / "b", folder / "c") as b:
        entries = [owned(m, name, ports={"vllm": port}) for m, name, port in ((a, "a", 8001), (b, "b", 8002))]
        (folder / "machines.yaml").write_text(yaml.safe_dump({"machines": entries}))
        cloud = ExistingCloud(ExistingConfig(folder / "machines.yaml", folder / "claims"))
        forget = lambda claim: cloud.claims._path(claim).unlink()  # noqa: E731
        yield Trial(cloud, "hall-1/rack-1", "small", forget, lambda: [m.id for m in cloud.list()])
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def vastai() -> Iterator[Trial]:
    clock = Clock()
    emulator = VastaiEmulator(Nowhere(), clock)
    with emulator.serving() as url:
        client = VastaiClient(VastaiConfig(emulator.key, url), clock=clock, sleep=clock.sleep)
        yield Trial(
            VastaiCloud(client), "any", "8x-a100-sxm4-80gb", emulator.vanish, lambda: emulator.machines,
            emulator, clock, ("FR",),
        )  # fmt: skip


EMULATED = {"lambda": "lambdalabs", "runpod": "runpod", "vastai": "vastai"}
"""Cloud → its fixture."""
TRIALS = {"local": "local", "existing": "existing", **EMULATED}


@pytest.fixture(params=list(TRIALS.values()), ids=list(TRIALS))
def trial(request: pytest.FixtureRequest, on_paper: None) -> Trial:
    """Each cloud in turn."""
    found: Trial = request.getfixturevalue(request.param)
    return found


@pytest.fixture(params=list(EMULATED.values()), ids=list(EMULATED))
def emulated(request: pytest.FixtureRequest, on_paper: None) -> Trial:
    """Each cloud whose API is emulated."""
    found: Trial = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def on_paper(monkeypatch: pytest.MonkeyPatch) -> None:
    """Machines that only exist on paper answer at once; the others answer for themselves."""
    answers_at_once(monkeypatch.setattr)
    monkeypatch.setattr(providers.rent, "BLOCKLIST", Blocklist())
