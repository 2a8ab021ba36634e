"""What every cloud of the registry is tried with: those of tests/clouds/vendors.py, and two that have no API."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

import providers.renting.rent
import providers.renting.until
from images.remote.waiting import Waiting
from providers.base import Cloud, Machine, NodeSpec, Owner
from providers.clouds.existing.cloud import ExistingCloud
from providers.clouds.existing.config import ExistingConfig
from providers.clouds.local.client import LocalClient
from providers.clouds.local.cloud import LocalCloud
from providers.clouds.local.config import LocalConfig
from providers.renting.blocklist import Blocklist
from providers.renting.hostkeys import one_use
from providers.renting.memory import creating
from providers.renting.memory.journal import Journal
from providers.renting.presence import ending, looking
from providers.renting.until import await_contact
from tests.clouds.server import Boot, Emulator, Nowhere
from tests.clouds.vendors import VENDORS
from tests.support import sshd
from tests.support.clouds import Clock
from tests.support.owned import owned
from tests.support.paper import answers_at_once
from tests.support.ports import local_bounds

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
    journal: Journal | None = None
    """Of the stack that is tried, on the emulator's clock."""

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
        return await_contact(self.cloud.launch(self.spec(name)), self.cloud, PRIVATE, 60, self.waiting())

    def waiting(self) -> Waiting:
        """What long work is given here."""
        return Waiting() if self.clock is None else self.clock.waiting()


@pytest.fixture
def local() -> Iterator[Trial]:
    folder = Path(tempfile.mkdtemp(prefix="xo-"))
    client = LocalClient(LocalConfig(folder / "s", folder / "c", "sshd", *local_bounds()))
    try:
        yield Trial(LocalCloud(client), "bay-1", "small", client.destroy, client.ids)
    finally:
        for machine_id in client.ids():
            client.destroy(machine_id)
        shutil.rmtree(folder, ignore_errors=True)


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


@contextmanager
def at_vendor(name: str) -> Iterator[Trial]:
    """The cloud at its emulator."""
    vendor, clock = VENDORS[name], Clock()
    emulator = vendor.emulator(Nowhere(), clock)
    with emulator.serving() as url, tempfile.TemporaryDirectory(prefix="xo-") as folder:
        cloud = vendor.cloud(emulator, url, clock)
        may_be_killed(cloud, emulator)
        yield Trial(
            cloud, vendor.anywhere or vendor.regions[0], vendor.sku, emulator.vanish, lambda: emulator.machines,
            emulator, clock, vendor.regions[1:2], vendor.settings, Journal(Path(folder) / "intents", clock),
        )  # fmt: skip


class Killed(BaseException):
    """The plugin is no more: nothing of it runs on, and nobody has its answer."""


def may_be_killed(cloud: Cloud, emulator: Emulator) -> None:
    """Whoever launches a machine there is killed where the emulator says so."""
    launch = cloud.launch

    def launched(spec: NodeSpec) -> Machine:
        try:
            return launch(spec)
        finally:
            if emulator.killed:
                emulator.killed = False
                raise Killed

    cloud.launch = launched  # type: ignore[method-assign]


TRIALS = ("local", "existing", *VENDORS)
"""The clouds that are tried. One without an API has a fixture of its name above."""


@pytest.fixture(params=TRIALS)
def trial(request: pytest.FixtureRequest, on_paper: None) -> Iterator[Trial]:
    """Each cloud in turn."""
    if request.param in VENDORS:
        with at_vendor(request.param) as made:
            yield made
    else:
        yield request.getfixturevalue(request.param)


@pytest.fixture(params=list(VENDORS))
def emulated(request: pytest.FixtureRequest, on_paper: None) -> Iterator[Trial]:
    """Each cloud whose API is emulated."""
    with at_vendor(request.param) as made:
        yield made


@pytest.fixture
def on_paper(monkeypatch: pytest.MonkeyPatch) -> None:
    """Machines that only exist on paper answer at once; the others answer for themselves."""
    answers_at_once(monkeypatch.setattr)
    for module in (looking, ending, creating, providers.renting.until):
        monkeypatch.setattr(module, "LOOK_POLL_S", 30.0)  # on a clock that nobody waits for, each look is HTTP
    monkeypatch.setattr(providers.renting.until, "CONTACT_POLL_S", 10.0)
    monkeypatch.setattr(providers.renting.rent, "BLOCKLIST", Blocklist())
