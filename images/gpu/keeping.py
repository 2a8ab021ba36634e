"""Pure: a machine that has a driver keeps it, held, with all that belongs to exactly its version."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from images.bundle import GpuDemand
from images.gpu.actions import GIVE_BACK, Action, Deed, Refusal, reboot
from images.gpu.facts import GpuFacts, Package, branch, upstream
from images.gpu.installing import NOUVEAU, blacklist, names
from images.gpu.suitable import too_old

_VERSION = re.compile(r"\d{3}\.\d+(\.\d+)?")
_OWN_VERSIONS = re.compile(r"nvidia-(persistenced|settings|modprobe|xconfig)(-.*)?|.*-container.*")
"""Packages whose version is not that of the driver beside them, at Debian for one."""
_FABRIC = re.compile(r"nvidia-fabricmanager(-\d+)?")
_ANOTHER_IMAGE = f"Take another image, or mend it by hand. {GIVE_BACK}"


def driver_packages(facts: GpuFacts) -> list[Package]:
    """Those that carry a driver's version, the fabric manager aside."""
    return [
        p
        for p in facts.packages
        if _VERSION.fullmatch(p.upstream) and not _OWN_VERSIONS.fullmatch(p.name) and not _FABRIC.fullmatch(p.name)
    ]


def keep(facts: GpuFacts, demand: GpuDemand, matrix: Mapping[str, Any]) -> list[Action] | Refusal:
    """What is left to do around the driver that is there, or why it cannot stay."""
    if not all(package.whole for package in facts.packages):
        return [Action(Deed.FINISH, "dpkg was interrupted")]
    parts = driver_packages(facts)
    version = facts.module or facts.loaded or (parts[0].upstream if parts else "")
    origin = _origin(facts)
    if (refusal := _unfit(facts, version, demand, matrix)) is not None:
        return refusal
    steps = [
        _modules(facts, version, origin, matrix),
        _fabric(facts, version, origin, matrix),
        _loading(facts),
        _services(facts),
    ]
    for step in steps:
        if isinstance(step, Refusal):
            return step
    return [action for step in steps if not isinstance(step, Refusal) for action in step]


def _unfit(facts: GpuFacts, version: str, demand: GpuDemand, matrix: Mapping[str, Any]) -> Refusal | None:
    reason = too_old(version, demand, matrix)
    if reason:
        return Refusal(reason, f"A vendor's driver is not replaced. {_ANOTHER_IMAGE}")
    known = [row["branch"] for row in matrix["branches"]]
    if branch(version) not in known:
        branches = ", ".join(f"{row['branch']} until {row['end_of_life']}" for row in matrix["branches"])
        return Refusal(
            f"its NVIDIA driver {version} is of branch {branch(version)}, which images/gpu/versions.toml does not know "
            f"({branches})",
            f"A vendor's driver is not replaced. {_ANOTHER_IMAGE}",
        )
    if facts.library and facts.library != version:
        return Refusal(
            f"its kernel module is {version} and its libraries are {facts.library}: they do not work together",
            f"Install the module's packages of {facts.library} and reboot. {_ANOTHER_IMAGE}",
        )
    versions = sorted({package.upstream for package in driver_packages(facts)})
    if len(versions) > 1:
        return Refusal(f"its driver's packages are of several versions: {', '.join(versions)}", _ANOTHER_IMAGE)
    if facts.secure_boot and facts.module and not facts.loaded and not facts.signer.startswith("Canonical"):
        return Refusal(
            f"secure boot is on, and its module is signed by {facts.signer or 'nobody'}: the kernel will not load it",
            f"Switch secure boot off, or take an image whose module the distribution signed. {GIVE_BACK}",
        )
    return None


def _origin(facts: GpuFacts) -> str | Refusal:
    """Who the driver's packages are from; empty where apt does not know them (a .run file, a vendor's own .deb).

    Several are a refusal of whatever would have to be installed beside them. As they came, of one version, they may
    stay: a vendor tried them.
    """
    parts = [*driver_packages(facts), *(p for p in facts.packages if _FABRIC.fullmatch(p.name))]
    by_package = {package.name: _known_by(facts, package) for package in parts}
    known = {name: origins for name, origins in by_package.items() if origins}
    if not known:
        return ""
    common = frozenset.intersection(*known.values())
    if not common:
        listed = "; ".join(f"{name} from {'/'.join(sorted(origins))}" for name, origins in sorted(known.items()))
        return Refusal(f"its driver's packages come from several archives, which do not fit: {listed}", _ANOTHER_IMAGE)
    return min(common)


def _known_by(facts: GpuFacts, package: Package) -> frozenset[str]:
    """Who offers it in this version; where none does any more, who offers the name."""
    by_name = frozenset(offer.origin for offer in facts.offers if offer.name == package.name)
    return (facts.origins(package) or by_name) - {""}


def _modules(facts: GpuFacts, version: str, origin: str | Refusal, matrix: Mapping[str, Any]) -> list[Action] | Refusal:
    if facts.module or facts.loaded:
        return []
    if isinstance(origin, Refusal):
        return origin
    wanted = names(origin, "modules", facts, matrix, str(branch(version)))
    offered = {offer.name for offer in facts.offers}
    if not wanted or not set(wanted) <= offered | {p.name for p in facts.packages}:
        return Refusal(
            f"its driver {version} has no module for the kernel {facts.kernel} that runs, and apt cannot get "
            f"{', '.join(wanted) or 'one'}",
            _ANOTHER_IMAGE,
        )
    why = f"driver {version} has no module for the kernel that runs"
    return [Action(Deed.INSTALL, why, (version, *wanted))]


def _fabric(facts: GpuFacts, version: str, origin: str | Refusal, matrix: Mapping[str, Any]) -> list[Action] | Refusal:
    """Exactly the driver's version, from where the driver is from: fabric manager and driver refuse any other."""
    if not facts.switches:
        return []
    installed = next((p for p in facts.packages if _FABRIC.fullmatch(p.name)), None)
    if installed is not None and installed.upstream == version:
        return []
    if isinstance(origin, Refusal):
        return origin
    wanted = names(origin, "fabric_manager", facts, matrix, str(branch(version)))
    fitting = [o for o in facts.offers if o.name in wanted and o.origin == origin and upstream(o.version) == version]
    has = f"its fabric manager is {installed.upstream}" if installed else "it has no fabric manager"
    if installed is not None and installed.name not in wanted:
        other = f"{has} (package {installed.name}), its driver {version} is from {origin or 'an unknown archive'}"
        return Refusal(f"{other}, whose fabric manager is another package", _ANOTHER_IMAGE)
    if fitting:
        why = f"{has}, and {facts.switches} NVSwitches need the one of driver {version}"
        return [Action(Deed.INSTALL, why, (version, f"{fitting[0].name}={fitting[0].version}"))]
    if origin and not facts.updated:
        return [Action(Deed.UPDATE, f"{has}, and the lists do not know one of {version}")]
    source = f"{origin}'s archive has none" if origin else "apt does not know where its driver is from"
    reason = f"{has}, its {facts.switches} NVSwitches need one of exactly {version}, and {source}"
    return Refusal(reason, _ANOTHER_IMAGE)


def _loading(facts: GpuFacts) -> list[Action] | Refusal:
    if facts.loaded and facts.module and facts.loaded != facts.module:
        again = reboot(facts, f"driver {facts.loaded} is loaded and {facts.module} is installed")
        return again if isinstance(again, Refusal) else [again]
    if facts.loaded:
        return []
    if "loaded" in facts.nouveau:
        again = reboot(facts, NOUVEAU)
        return again if isinstance(again, Refusal) else [*blacklist(facts), again]
    return [Action(Deed.LOAD, "the driver is installed and not loaded")]


def _services(facts: GpuFacts) -> list[Action]:
    persistent = all(gpu.persistent for gpu in facts.working)
    wanted = []
    if not persistent or facts.persistence_refused or _sleeps(facts, "nvidia-persistenced"):
        wanted.append("nvidia-persistenced")
    if facts.switches and not _runs(facts, "nvidia-fabricmanager"):
        wanted.append("nvidia-fabricmanager")
    if not wanted:
        return []
    return [Action(Deed.SERVICES, "GPUs stay initialised, and NVSwitches need their manager", tuple(wanted))]


def _runs(facts: GpuFacts, name: str) -> bool:
    """Now and after a boot: `static` and `alias` units are started by others."""
    unit = facts.unit(name)
    return unit.active == "active" and unit.enabled not in ("disabled", "masked")


def _sleeps(facts: GpuFacts, name: str) -> bool:
    """There, and off."""
    unit = facts.unit(name)
    return unit.there and unit.active != "active"
