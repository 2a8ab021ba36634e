"""An example configuration as committed, on emulated vendors and owned machines that really run: bare sandboxes with
nothing but sshd and an apt.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from providers.renting.firstboot import user_data
from providers.renting.hostkeys import one_use
from tests.clouds.server import Boot, Emulator
from tests.clouds.vendors import VENDORS, url_variable
from tests.support.checkout import Checkout
from tests.support.committed import Committed
from tests.support.sshd import make_key, public_key

OWNED = {
    "gateway": ("office", "small"),
    "dgx-1": ("hall-1/rack-3", "dgx-a100-80gb"),
    "dgx-2": ("hall-2/rack-1", "dgx-a100-80gb"),
}
"""Machines that are there already, by id: region and SKU."""
OVERRIDES: dict[str, dict[str, Any]] = {"vastai": {"apiKeys": {"openai": "sk-none"}}}
"""The secrets that an example asks for."""
OWNED_OF = {"existing": tuple(OWNED)}
"""Those of them that an example uses, where it is more than the gateway."""


@dataclass
class World:
    """Emulated vendors, machines that a team owns, and a clone of the project that reaches them."""

    clone: Checkout
    host: Committed
    emulators: dict[str, Emulator] = field(default_factory=dict)

    @property
    def billed(self) -> set[str]:
        """Ids of all machines at all vendors, as the state would have them."""
        return {f"{name}/{machine}" for name, e in self.emulators.items() for machine in e.machines}

    @property
    def known(self) -> set[str]:
        """Ids of all machines in the state but those that are owned."""
        resources = self.clone.state()["deployment"].get("resources", [])
        ids = {r["outputs"]["machine"]["id"] for r in resources if r["type"] == "gpucloud:index:Node"}
        return {machine for machine in ids if not machine.startswith("existing/")}


def own(host: Committed, names: Iterable[str], folder: Path) -> Path:
    """Boots machines that a team owns; the file that lists them."""
    make_key(folder / "identity")
    entries = []
    for name in names:
        region, sku = OWNED[name]
        host_key = one_use("a key of the team's", name)
        order = Boot(name, (public_key(folder / "identity"),), user_data(host_key), ports=(22, 8000, 8080))
        entries.append(
            {
                "id": name,
                "address": host.boot(order, gpus=name != "gateway").address,
                "sshUser": "ubuntu",
                "hostKey": host_key.public,
                "identityFile": str(folder / "identity"),
                "region": region,
                "sku": sku,
                "gpus": 8,
                "gpuMemoryGib": 80,
                "purchaseUsd": 180000,
                "months": 36,
                "watts": 4500,
                "usdPerKwh": 0.18,
            }
        )
    path = folder / "existing.yaml"
    path.write_text(yaml.safe_dump({"machines": entries}))
    return path


@contextmanager
def example(stack: str, host: Committed, folder: Path) -> Iterator[World]:
    """A clone of the project with this stack made and nothing up yet; `folder` takes a key and a list of machines."""
    with ExitStack() as held:
        clone = Checkout.make(stack)
        clone.timeout_s = 900
        held.callback(clone.discard)
        made = World(clone, host)
        for name, vendor in VENDORS.items():
            emulator = vendor.emulator(host)
            address = held.enter_context(emulator.serving())
            clone.variables |= {url_variable(name): address, vendor.key: emulator.key}
            made.emulators[name] = emulator
        owned = OWNED_OF.get(stack, ("gateway",))
        for name in owned:
            held.callback(host.end, name)
        clone.variables["CROSSOVER_EXISTING_MACHINES"] = str(own(host, owned, folder))
        host.exchange(clone)
        clone.configure(OVERRIDES.get(stack, {}))
        clone.init()
        host.tell_secret(clone)
        yield made
