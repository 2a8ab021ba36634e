"""What every cloud of the registry is tried with. A cloud that has no entry here fails `test_every_cloud_is_tried`."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from providers.base import Cloud
from providers.local.client import LocalClient
from providers.local.cloud import LocalCloud
from providers.local.config import LocalConfig


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


TRIALS = ("local",)


@pytest.fixture(params=TRIALS)
def trial(request: pytest.FixtureRequest) -> Trial:
    """Each cloud in turn."""
    found: Trial = request.getfixturevalue(request.param)
    return found
