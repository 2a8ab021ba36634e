"""What every cloud of the registry is tried with. A cloud that has no entry here fails `test_every_cloud_is_tried`."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from providers.base import Cloud
from providers.existing.cloud import ExistingCloud
from providers.existing.config import ExistingConfig
from providers.local.client import LocalClient
from providers.local.cloud import LocalCloud
from providers.local.config import LocalConfig
from tests.support import sshd
from tests.support.owned import owned


@dataclass(frozen=True, slots=True)
class Trial:
    """A cloud to be tried, where it can be launched, and how to make a machine vanish behind its back."""

    cloud: Cloud
    region: str
    sku: str
    kill: Callable[[str], None]


@pytest.fixture
def local() -> Iterator[Trial]:
    folder = Path(tempfile.mkdtemp(prefix="xo-"))
    client = LocalClient(LocalConfig(state=folder / "s", cache=folder / "c"))
    try:
        yield Trial(LocalCloud(client), "bay-1", "small", client.destroy)
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
        yield Trial(cloud, "hall-1/rack-1", "small", lambda claim: cloud.claims._path(claim).unlink())
    shutil.rmtree(folder, ignore_errors=True)


TRIALS = ("local", "existing")


@pytest.fixture(params=TRIALS)
def trial(request: pytest.FixtureRequest) -> Trial:
    """Each cloud in turn."""
    found: Trial = request.getfixturevalue(request.param)
    return found
