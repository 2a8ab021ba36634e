"""What a machine turned out to have: GPUs, driver, packages, services. Read from what scripts/look.sh answers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

LOST = re.compile(r"\[(GPU is lost|Unknown Error|GPU requires reset)\]", re.IGNORECASE)
"""A value of nvidia-smi's query, whose status stays 0 (535 and 550, over NVIDIA's mock of NVML)."""
_COMPUTE, _BRIDGE = "0x0302", "0x0680"
"""Beginnings of PCI classes: 3D controllers, and the bridges that NVSwitches are. 0x0300 is a graphics card."""
_DISPLAY = "0x0300"


@dataclass(frozen=True, slots=True)
class Package:
    """An installed package, or one that an interrupted dpkg left half way."""

    name: str
    version: str
    held: bool = False
    whole: bool = True

    @property
    def upstream(self) -> str:
        """The driver's version in it: of "580.105.08-0ubuntu1", "580.105.08"."""
        return upstream(self.version)


@dataclass(frozen=True, slots=True)
class AptOffer:
    """A version that apt can get."""

    name: str
    version: str
    origin: str
    """As the archive's Release file calls itself: "NVIDIA", "Ubuntu", "Debian"; empty where nothing says it."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A systemd unit, in systemd's words."""

    load: str = ""
    active: str = ""
    enabled: str = ""

    @property
    def there(self) -> bool:
        """Whether the machine has it."""
        return self.load == "loaded"

    @property
    def on(self) -> bool:
        """Whether it runs, or starts by itself."""
        return self.there and (self.active in ("active", "activating") or self.enabled.startswith("enabled"))


@dataclass(frozen=True, slots=True)
class Gpu:
    """A row of nvidia-smi."""

    name: str
    driver: str
    persistent: bool
    lost: bool


@dataclass(frozen=True, slots=True)
class GpuFacts:
    """All of it. Versions are the driver's own, "580.105.08"; empty where there is none."""

    root: bool = False
    """Whether the user who logs in is root, or becomes it by sudo without a password."""
    apt: bool = False
    architecture: str = ""
    system: tuple[str, str, str] = ("", "", "")
    """ID, VERSION_ID and PRETTY_NAME of /etc/os-release."""
    kernel: str = ""
    newest_kernel: str = ""
    """The newest in /boot: what the next boot takes."""
    headers: bool = False
    """Of the kernel that runs."""
    reboot_required: bool = False
    boot_id: str = ""
    rebooted: tuple[str, str] = ("", "")
    """The boot id before our last reboot, and what it was for; until all is well."""
    updated: bool = False
    """Whether we have refreshed apt's lists since the machine booted."""
    free_bytes: int = 0
    container: str = ""
    secure_boot: bool = False
    devices: tuple[str, ...] = ()
    """PCI ids of GPUs: "20b2"."""
    switches: int = 0
    """NVSwitches that the machine sees."""
    loaded: str = ""
    module: str = ""
    """Of the module on the disk of the kernel that runs."""
    licence: str = ""
    signer: str = ""
    library: str = ""
    """Of libnvidia-ml."""
    kernel_says: tuple[str, ...] = ()
    """Why a module that is there is not loaded."""
    nouveau: frozenset[str] = frozenset()
    """Of "loaded", "initramfs" and "blacklisted"."""
    smi: int | None = None
    """nvidia-smi's exit status; None: it is not there."""
    smi_says: str = ""
    gpus: tuple[Gpu, ...] = ()
    units: Mapping[str, Unit] = field(default_factory=dict)
    persistence_refused: bool = False
    """Whether nvidia-persistenced's unit starts it with --no-persistence-mode."""
    periodic: bool = True
    """Whether apt may run by itself (APT::Periodic::Enable)."""
    packages: tuple[Package, ...] = ()
    offers: tuple[AptOffer, ...] = ()

    @property
    def driver(self) -> str:
        """The driver that runs, or would."""
        return self.loaded or self.module

    @property
    def working(self) -> tuple[Gpu, ...]:
        """GPUs that answer."""
        return tuple(gpu for gpu in self.gpus if not gpu.lost)

    def unit(self, name: str) -> Unit:
        """The unit of that name."""
        return self.units.get(name, Unit())

    def package(self, *names: str) -> Package | None:
        """The first of these names that is installed."""
        known = {package.name: package for package in self.packages}
        return next((known[name] for name in names if name in known), None)

    def origins(self, package: Package) -> frozenset[str]:
        """Who offers exactly that version; empty where nobody does."""
        return frozenset(o.origin for o in self.offers if (o.name, o.version) == (package.name, package.version))


def upstream(version: str) -> str:
    """Of a Debian version without its epoch and revision: of "1:580.105.08-0ubuntu1", "580.105.08"."""
    return version.rpartition(":")[2].split("-")[0]


def branch(version: str) -> int:
    """The branch of a driver's version: 580 of "580.105.08"; 0 of what is no version."""
    number = version.partition(".")[0]
    return int(number) if number.isdecimal() else 0


def parse(text: str) -> GpuFacts:
    """The answers of look.sh. Lines that it does not know are skipped."""
    answer = _Answer([line.split("\t") for line in text.splitlines()])
    return GpuFacts(**_of_system(answer), **_of_driver(answer), **_of_packages(answer))


@dataclass(frozen=True, slots=True)
class _Answer:
    lines: list[list[str]]

    def rows(self, kind: str, words: int) -> list[list[str]]:
        """The words of all lines of a kind that have so many."""
        return [line[1:] for line in self.lines if line[0] == kind and len(line) == words + 1]

    def one(self, kind: str) -> str:
        """The one word of a kind's last line; empty without one."""
        return next((line[1] for line in reversed(self.lines) if line[0] == kind and len(line) > 1), "")

    def number(self, kind: str) -> int | None:
        return int(self.one(kind)) if self.one(kind).isdecimal() else None

    def said(self, kind: str) -> bool:
        return any(line[0] == kind for line in self.lines)


def _of_system(answer: _Answer) -> dict[str, Any]:
    pci = [(kind, device.removeprefix("0x")) for kind, device in answer.rows("pci", 2)]
    bridges = sum(1 for kind, _ in pci if kind.startswith(_BRIDGE))
    system = [(identity, version, title) for identity, version, title in answer.rows("system", 3)]
    rebooted = [(boot_id, why) for boot_id, why in answer.rows("rebooted", 2)]
    return {
        **{name: answer.said(name) for name in ("root", "apt", "headers", "reboot_required", "updated")},
        **{name: answer.one(name) for name in ("architecture", "kernel", "newest_kernel", "boot_id", "container")},
        "system": system[-1] if system else ("", "", ""),
        "rebooted": rebooted[-1] if rebooted else ("", ""),
        "free_bytes": answer.number("free") or 0,
        "secure_boot": answer.one("secure_boot") == "on",
        "devices": tuple(device for kind, device in pci if kind.startswith((_COMPUTE, _DISPLAY))),
        "switches": max(bridges, len(answer.rows("nvswitch", 1))),
        "units": {name.removesuffix(".service"): Unit(*state) for name, *state in answer.rows("unit", 4)},
    }


def _of_driver(answer: _Answer) -> dict[str, Any]:
    return {
        **{name: answer.one(name) for name in ("loaded", "module", "signer", "library", "smi_says")},
        "licence": answer.one("license"),
        "kernel_says": tuple(line for (line,) in answer.rows("kernel_says", 1)),
        "nouveau": frozenset(state for (state,) in answer.rows("nouveau", 1)),
        "smi": answer.number("smi"),
        "gpus": tuple(gpu for (row,) in answer.rows("gpu", 1) if (gpu := _gpu(row)) is not None),
        "persistence_refused": answer.said("persistence_refused"),
    }


def _of_packages(answer: _Answer) -> dict[str, Any]:
    return {
        "periodic": answer.one("periodic") != "off",
        "packages": tuple(_package(*words) for words in answer.rows("package", 3)),
        "offers": _offers(answer.rows("offer", 3), answer.rows("source", 2)),
    }


def _gpu(row: str) -> Gpu | None:
    """Of index, name, driver, persistence mode and more, between commas. A row that is no GPU's is None."""
    values = [value.strip() for value in row.split(",")]
    if len(values) < 4 or not values[0].isdecimal():
        return None
    return Gpu(values[1], values[2], values[3] == "Enabled", any(LOST.search(value) for value in values))


def _package(status: str, name: str, version: str) -> Package:
    """`status` is dpkg's: "ii" installed, "hi" held, "iF" configured in part."""
    return Package(name, version, held=status.startswith("h"), whole=status[1:2] == "i")


def _offers(offers: Iterable[list[str]], sources: Iterable[list[str]]) -> tuple[AptOffer, ...]:
    origins = [(f"{where} ", name) for where, name in sources]

    def origin(where: str) -> str:
        return next((name for begin, name in origins if f"{where} ".startswith(begin)), "")

    return tuple(AptOffer(name, version, origin(where)) for name, version, where in offers)
