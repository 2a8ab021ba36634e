"""The clouds whose API is emulated: what the contract, engine, end-to-end and bench suites try each of them with.

A new cloud is one entry here. `tests/contract/test_clouds.py` fails for a launching cloud that has none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from providers.base import Cloud
from providers.clouds.lambdalabs.client import LambdaClient
from providers.clouds.lambdalabs.cloud import LambdaCloud
from providers.clouds.lambdalabs.config import LambdaConfig
from providers.clouds.runpod.client import RunpodClient
from providers.clouds.runpod.cloud import RunpodCloud
from providers.clouds.runpod.config import RunpodConfig
from providers.clouds.vastai.client import VastaiClient
from providers.clouds.vastai.cloud import VastaiCloud
from providers.clouds.vastai.config import VastaiConfig
from tests.clouds.lambdalabs import LambdaEmulator
from tests.clouds.runpod import RunpodEmulator
from tests.clouds.server import Emulator, Nowhere, Window
from tests.clouds.vastai import VastaiEmulator
from tests.support.clouds import Clock

E = TypeVar("E", bound=Emulator)


@dataclass(frozen=True, slots=True)
class Limits(Generic[E]):
    """A vendor that refuses what comes too fast, for `make bench`."""

    emulator: Callable[[], E]
    forced_s: Callable[[int], float]
    """Seconds that its rate limit forces upon so many nodes."""


@dataclass(frozen=True, slots=True)
class Vendor(Generic[E]):
    """An emulated cloud. The functions take its emulator first."""

    package: str
    """The cloud's, whose paces and pauses are shortened where nothing is measured."""
    emulator: Callable[..., E]
    """The class: of a host, a clock, and the key that it lets in."""
    cloud: Callable[[E, str, Clock], Cloud]
    """The cloud at that address, on that clock."""
    key: str
    """The environment variable with the API key."""
    sku: str
    regions: tuple[str, str, str]
    """Three that have the SKU."""
    sell_out: Callable[[E, str], None]
    """Takes all that a region has from the market."""
    region_of: Callable[[E, str], str]
    """Where the machine of this id is."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What a section `clouds.<cloud>` must name."""
    anywhere: str = ""
    """The region that leaves the choice to the vendor, where it has one."""
    leftovers: Callable[[E], object] = lambda emulator: None
    """What else than machines the account holds for us."""
    limits: Limits[E] | None = None
    """None: `make bench` does not measure it."""


def url_variable(cloud: str) -> str:
    """The environment variable with the address of what stands in for the cloud's API."""
    return f"CROSSOVER_{cloud.upper()}_URL"


def _lambda(emulator: LambdaEmulator, url: str, clock: Clock) -> LambdaCloud:
    return LambdaCloud(LambdaClient(LambdaConfig(emulator.key, url), clock=clock, sleep=clock.sleep))


def _sell_out_lambda(emulator: LambdaEmulator, region: str) -> None:
    emulator.capacity[region, VENDORS["lambda"].sku] = 0


def _runpod(emulator: RunpodEmulator, url: str, clock: Clock) -> RunpodCloud:
    return RunpodCloud(RunpodClient(RunpodConfig(emulator.key, url), clock=clock, sleep=clock.sleep, paces=()))


def _sell_out_runpod(emulator: RunpodEmulator, region: str) -> None:
    emulator.stock[region] = 0


def _vastai(emulator: VastaiEmulator, url: str, clock: Clock) -> VastaiCloud:
    return VastaiCloud(VastaiClient(VastaiConfig(emulator.key, url), clock=clock, sleep=clock.sleep))


def _sell_out_vastai(emulator: VastaiEmulator, country: str) -> None:
    for offer in emulator.offers.values():
        if offer["geolocation"].endswith(f", {country}"):
            offer["rentable"] = False


VENDORS: Mapping[str, Vendor[Any]] = {
    "lambda": Vendor(
        package="providers.clouds.lambdalabs",
        emulator=LambdaEmulator,
        cloud=_lambda,
        key="LAMBDA_API_KEY",
        sku="gpu_8x_a100_80gb_sxm4",
        regions=("us-east-1", "us-west-1", "europe-central-1"),
        sell_out=_sell_out_lambda,
        region_of=lambda emulator, machine: emulator.instances[machine].launch.region_name,
        settings={"sourceNetworks": ["203.0.113.7/32"]},
        leftovers=lambda emulator: [*emulator.ssh_keys, *emulator.rulesets],
        limits=Limits(
            lambda: LambdaEmulator(Nowhere(), interval_s=1.0, launch_interval_s=12.0), lambda count: 12.0 * (count - 1)
        ),
    ),
    "runpod": Vendor(
        package="providers.clouds.runpod",
        emulator=RunpodEmulator,
        cloud=_runpod,
        key="RUNPOD_API_KEY",
        sku="8x-a100-sxm-80gb-secure",
        regions=("US-KS-2", "EU-RO-1", "CA-MTL-1"),
        sell_out=_sell_out_runpod,
        region_of=lambda emulator, machine: emulator.pods[machine].data_center,
        # Each node takes three requests of the 60 of a minute: a look for what exists, the price, and the order.
        limits=Limits(
            lambda: RunpodEmulator(Nowhere(), stock={"US-KS-2": 8 * 32}, per_minute=Window(60)),
            lambda count: 60.0 * ((3 * count - 1) // 60),
        ),
    ),
    "vastai": Vendor(
        package="providers.clouds.vastai",
        emulator=VastaiEmulator,
        cloud=_vastai,
        key="VAST_API_KEY",
        sku="8x-a100-sxm4-80gb",
        regions=("US", "FR", "NO"),
        sell_out=_sell_out_vastai,
        region_of=lambda emulator, machine: emulator.contracts[int(machine)].offer["geolocation"][-2:],
        anywhere="any",
    ),
}
"""Cloud → its vendor."""
