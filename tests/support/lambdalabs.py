"""The cloud `lambda` on its emulator, with a clock that moves by sleeping."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from providers.base import Machine, NodeSpec, Owner
from providers.clouds.lambdalabs.client import LambdaClient
from providers.clouds.lambdalabs.cloud import LambdaCloud
from providers.clouds.lambdalabs.config import LambdaConfig
from providers.renting.hostkeys import one_use
from providers.transport.transport import Pace
from tests.clouds.lambdalabs import LambdaEmulator
from tests.clouds.server import Nowhere
from tests.support.clouds import Clock

SKU = "gpu_8x_a100_80gb_sxm4"
REGION = "us-east-1"
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE2Z1Wb2GJCbvgdM3dFVgk0UsCMfJWSMkBYGDpLbPVxX"
NETWORKS = {"sourceNetworks": ["203.0.113.7/32"]}
"""The settings that have no default."""
HOST_KEY = one_use("a private key", "p-s-a-g1")


@dataclass
class Stage:
    """One emulator and one cloud that asks it."""

    emulator: LambdaEmulator
    cloud: LambdaCloud
    clock: Clock
    host: Nowhere
    url: str

    def launch(self, key: str = "a", **changes: Any) -> Machine:
        """Rents a machine with `spec`."""
        return self.cloud.launch(spec(key, **changes))

    def other(self, api_key: str) -> LambdaCloud:
        """A cloud with another API key."""
        config = LambdaConfig(api_key, self.url)
        return LambdaCloud(LambdaClient(config, clock=self.clock, sleep=self.clock.sleep))

    @property
    def requests(self) -> list[str]:
        """ "METHOD path" of all that were let in, without /api/v1."""
        return [f"{r.method} {r.path.removeprefix('/api/v1')}" for r in self.emulator.seen]


@contextmanager
def stage(paced: bool = False, **changes: Any) -> Iterator[Stage]:
    """`paced`: the client keeps Lambda's rate limits and the emulator insists on them."""
    clock, host = Clock(), Nowhere()
    interval_s, launch_interval_s = (1.0, 12.0) if paced else (0.0, 0.0)
    limits: dict[str, Any] = {"interval_s": interval_s, "launch_interval_s": launch_interval_s}
    emulator = LambdaEmulator(host, clock=clock, **limits, **changes)
    pace, launch_pace = (Pace(s, clock, clock.sleep) for s in (interval_s, launch_interval_s))
    with emulator.serving() as url:
        config = LambdaConfig(emulator.key, url)
        client = LambdaClient(config, pace, launch_pace, clock=clock, sleep=clock.sleep)
        now = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
        yield Stage(emulator, LambdaCloud(client, lambda: now), clock, host, url)


def spec(key: str = "a", **changes: Any) -> NodeSpec:
    """What to rent, with anything changed; settings are added to those that have no default."""
    values: dict[str, Any] = {
        "name": f"p-s-{key}-g1",
        "owner": Owner("p", "s", "inference", key, 1),
        "region": REGION,
        "sku": SKU,
        "ssh_public_key": PUBLIC_KEY,
        "ports": {"ssh": 22, "vllm": 8000},
        "host_key": HOST_KEY,
        **changes,
        "settings": {**NETWORKS, **changes.get("settings", {})},
    }
    return NodeSpec(**values)
