"""Machines as data: what a look finds on them, and what each action does to it.

No GPU was there: names and versions are those of NVIDIA's and Ubuntu's archives, put together here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from images.bundle import GpuDemand
from images.gpu.actions import Action, Deed
from images.gpu.facts import AptOffer, Gpu, GpuFacts, Package, Unit

DEMAND = GpuDemand(install=True, least_driver=580, count=8)
JUDGED = replace(DEMAND, install=False)
A100 = "NVIDIA A100-SXM4-80GB"
KERNEL = "6.8.0-1021-aws"
DRIVER = "580.105.08"

ON, OFF = Unit("loaded", "active", "enabled"), Unit("loaded", "inactive", "disabled")
TIMERS = ("apt-daily.timer", "apt-daily-upgrade.timer", "unattended-upgrades")


def offers(origin: str, *versions: str, names: Iterable[str]) -> tuple[AptOffer, ...]:
    return tuple(AptOffer(name, version, origin) for name in names for version in versions)


NVIDIA_OFFERS = (
    *offers(
        "NVIDIA",
        "580.95.05-1ubuntu1",
        "580.105.08-1ubuntu1",
        "595.71.05-1ubuntu1",
        names=["nvidia-open", "nvidia-fabricmanager"],
    ),
    AptOffer("nvidia-driver-pinning-580", "580-1ubuntu1", "NVIDIA"),
)
UBUNTU_OFFERS = (
    *offers(
        "Ubuntu",
        "580.95.05-0ubuntu0.24.04.1",
        "580.105.08-0ubuntu0.24.04.1",
        names=["nvidia-headless-no-dkms-580-server-open", "nvidia-utils-580-server", "nvidia-fabricmanager-580"],
    ),
    AptOffer(f"linux-modules-nvidia-580-server-open-{KERNEL}", "6.8.0-1021.23", "Ubuntu"),
    AptOffer(f"linux-headers-{KERNEL}", "6.8.0-1021.23", "Ubuntu"),
)


def gpus(count: int = 8, driver: str = DRIVER, *, persistent: bool = True, lost: int = 0) -> tuple[Gpu, ...]:
    return tuple(Gpu(A100, driver, persistent, lost=number < lost) for number in range(count))


def bare(**changes: Any) -> GpuFacts:
    """Ubuntu 24.04 as a cloud ships it, on eight A100 with six NVSwitches."""
    facts = GpuFacts(
        root=True,
        apt=True,
        architecture="x86_64",
        system=("ubuntu", "24.04", "Ubuntu 24.04.3 LTS"),
        kernel=KERNEL,
        newest_kernel=KERNEL,
        boot_id="boot-1",
        free_bytes=100 << 30,
        devices=("20b2",) * 8,
        switches=6,
        units=dict.fromkeys(TIMERS, ON),
        packages=(Package(f"linux-image-{KERNEL}", "6.8.0-1021.23"),),
        offers=UBUNTU_OFFERS,
    )
    return replace(facts, **changes)


def nvidia_parts(version: str, *, held: bool = False, fabric: str | None = None) -> tuple[Package, ...]:
    names = ("libnvidia-compute-580", "nvidia-dkms-580-open", "nvidia-open")
    found = [Package(name, f"{version}-1ubuntu1", held=held) for name in names]
    if fabric is not None:
        found.append(Package("nvidia-fabricmanager", f"{fabric}-1", held=held))
    return tuple(found)


def vendor(driver: str = DRIVER, **changes: Any) -> GpuFacts:
    """As the DLAMI: NVIDIA's driver loaded, its fabric manager running, upgrades on, nothing held."""
    facts = bare(
        loaded=driver,
        module=driver,
        library=driver,
        licence="Dual MIT/GPL",
        smi=0,
        gpus=gpus(driver=driver),
        packages=(*bare().packages, *nvidia_parts(driver, fabric=driver)),
        offers=(*UBUNTU_OFFERS, *NVIDIA_OFFERS),
        units={**dict.fromkeys(TIMERS, ON), "nvidia-persistenced": ON, "nvidia-fabricmanager": ON},
    )
    return replace(facts, **changes)


def done(**changes: Any) -> GpuFacts:
    """A vendor's machine after our install."""
    facts = vendor()
    facts = replace(
        facts,
        periodic=False,
        packages=tuple(replace(p, held=True) for p in facts.packages),
        units={**facts.units, **dict.fromkeys(TIMERS, Unit("masked", "inactive", "masked"))},
    )
    return replace(facts, **changes)


def after(facts: GpuFacts, action: Action) -> GpuFacts:
    """What the machine has once the action is done: the promises of the scripts, in small."""
    words = action.words
    match action.kind:
        case Deed.QUIET:
            masked = dict.fromkeys(TIMERS, Unit("masked", "inactive", "masked"))
            return replace(facts, periodic=False, units={**facts.units, **masked})
        case Deed.HOLD:
            return replace(facts, packages=tuple(replace(p, held=p.held or p.name in words) for p in facts.packages))
        case Deed.FINISH:
            return replace(facts, packages=tuple(replace(p, whole=True) for p in facts.packages))
        case Deed.KEYRING:
            keyring = Package("cuda-keyring", "1.1-1")
            offers = (*facts.offers, *NVIDIA_OFFERS)
            return replace(facts, packages=(*facts.packages, keyring), offers=offers, updated=True)
        case Deed.UPDATE:
            return replace(facts, updated=True)
        case Deed.INSTALL:
            return _installed(facts, words)
        case Deed.BLACKLIST:
            return replace(facts, nouveau=frozenset({"blacklisted"} | (facts.nouveau & {"loaded"})))
        case Deed.LOAD:
            return _loaded(facts)
        case Deed.SERVICES:
            units = {**facts.units, **dict.fromkeys(words, ON)}
            return replace(facts, units=units, gpus=tuple(replace(g, persistent=True) for g in facts.gpus))
        case Deed.REBOOT:
            booted = replace(
                facts,
                kernel=facts.newest_kernel,
                reboot_required=False,
                rebooted=(facts.boot_id, words[0]),
                boot_id=facts.boot_id + "+1",
                updated=False,
                nouveau=facts.nouveau & {"blacklisted"} if "blacklisted" in facts.nouveau else facts.nouveau,
            )
            return _loaded(replace(booted, loaded="")) if facts.module else booted


def _installed(facts: GpuFacts, words: tuple[str, ...]) -> GpuFacts:
    version, *names = words
    known = {o.name: o.version for o in facts.offers}
    new = {name.partition("=")[0]: name.partition("=")[2] or known.get(name.partition("=")[0], "1") for name in names}
    kept = tuple(p for p in facts.packages if p.name not in new)
    packages = (*kept, *(Package(name, found) for name, found in new.items()))
    driver = any("open" in name or "headers" in name for name in new)
    return replace(
        facts,
        packages=packages,
        headers=facts.headers or any(name.startswith("linux-headers") for name in new),
        module=version if driver else facts.module,
        library=version,
        signer="Canonical Ltd. Kernel Module Signing" if any("linux-modules" in n for n in new) else facts.signer,
        units={
            **facts.units,
            "nvidia-persistenced": facts.unit("nvidia-persistenced") if facts.loaded else OFF,
            **({"nvidia-fabricmanager": OFF} if any("fabricmanager" in n for n in new) else {}),
        },
    )


def _loaded(facts: GpuFacts) -> GpuFacts:
    if "loaded" in facts.nouveau or not facts.module:
        return facts
    driver = facts.module
    return replace(facts, loaded=driver, smi=0, gpus=gpus(len(facts.devices), driver, persistent=False), kernel_says=())
