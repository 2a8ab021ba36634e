"""Pure: a machine without a driver gets one, from one origin, in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from images.gpu.actions import Action, Deed, Refusal, reboot
from images.gpu.facts import GpuFacts, branch, upstream
from images.gpu.matrix import pinned

NVIDIA = "NVIDIA"
"""As its archive's Release file calls itself."""
NOUVEAU = "nouveau holds the GPUs"
"""Why a machine is rebooted."""
_RUNS_OLD_KERNEL = "a newer kernel waits, and modules are built for the one that runs"


def install(facts: GpuFacts, system: Mapping[str, Any], matrix: Mapping[str, Any]) -> list[Action] | Refusal:
    """From nothing to a driver that is loaded, with nouveau out of its way."""
    if facts.newest_kernel not in ("", facts.kernel) or facts.reboot_required:
        first = reboot(facts, _RUNS_OLD_KERNEL)
        return first if isinstance(first, Refusal) else [first]
    room = matrix["room"]["least_gib"]
    if facts.free_bytes < room << 30:
        return Refusal(
            f"{facts.free_bytes / (1 << 30):.1f} GiB are free on its root file system, and a driver needs {room}",
            "Make room, or rent it with a larger disk",
        )
    origin = _origin(facts, system, matrix)
    if isinstance(origin, Refusal):
        return origin
    ready = _sources(facts, origin, system, matrix)
    packages = _packages(facts, origin, matrix)
    if isinstance(packages, Refusal):
        if not ready:
            return packages
        wanted = f"branch {pinned(matrix).driver}", f"driver and what belongs to it from {origin}"
        packages = Action(Deed.INSTALL, "versions are chosen once the lists are there", wanted)
    return [*ready, packages, *_after(facts)]


def names(origin: str, part: str, facts: GpuFacts, matrix: Mapping[str, Any], driver: str = "") -> tuple[str, ...]:
    """Packages of an origin's part ("driver", "fabric_manager", …), of a driver's branch: by default the pinned one."""
    words = {"branch": driver or pinned(matrix).driver.split(".")[0], "kernel": facts.kernel}
    row = matrix["origins"].get(origin, {})
    return tuple(name.format(**words) for name in row.get(part, ()))


def _origin(facts: GpuFacts, system: Mapping[str, Any], matrix: Mapping[str, Any]) -> str | Refusal:
    if facts.secure_boot and not system["signed_modules"]:
        return Refusal(
            f"secure boot is on, and {system['title']} has no signed NVIDIA modules of a branch that will do",
            "Switch secure boot off, or take Ubuntu 24.04, whose archive has signed ones",
        )
    keyring = facts.package(matrix["keyring"]["package"]) or system["keyring_sha256"]
    if keyring and not facts.secure_boot:
        return NVIDIA
    if system["signed_modules"]:
        return str(system["distribution"])
    return Refusal(
        "NVIDIA's repository cannot be trusted: images/gpu/versions.toml has no SHA-256 of its keyring for "
        f"{system['title']}, whose own driver is too old",
        "Add the SHA-256 there, or take Ubuntu 24.04, whose archive has a driver",
    )


def _sources(facts: GpuFacts, origin: str, system: Mapping[str, Any], matrix: Mapping[str, Any]) -> list[Action]:
    keyring = matrix["keyring"]
    if origin == NVIDIA and facts.package(keyring["package"]) is None:
        url = keyring["host"] + keyring["path"].format(repository=system["repository"])
        return [Action(Deed.KEYRING, "its drivers come from there", (url, system["keyring_sha256"]))]
    return [] if facts.updated else [Action(Deed.UPDATE, "they may be as old as the image")]


def _packages(facts: GpuFacts, origin: str, matrix: Mapping[str, Any]) -> Action | Refusal:
    """The newest version of the pinned branch that all parts have."""
    fabric = names(origin, "fabric_manager", facts, matrix) if facts.switches else ()
    exact = (*names(origin, "driver", facts, matrix), *fabric)
    versions = [_versions(facts, name, origin, matrix) for name in exact]
    common = set(versions[0]).intersection(*versions[1:])
    if not common:
        have = "; ".join(f"{n}: {', '.join(sorted(v)) or 'none'}" for n, v in zip(exact, versions, strict=True))
        return Refusal(
            f"{origin}'s archive has no version of branch {pinned(matrix).driver} that all of these have ({have})",
            "Try again later, or take an image that brings a driver",
        )
    chosen = max(common, key=_order)
    modules = [] if _has_headers(facts, origin) else list(names(origin, "modules", facts, matrix))
    lacking = [name for name in modules if not _offered(facts, name)]
    if lacking:
        return Refusal(
            f"apt cannot get {', '.join(lacking)}, and without it no module fits the kernel {facts.kernel} that runs",
            "Boot a kernel that the archive has, or take another image",
        )
    beside = [name for name in names(origin, "beside", facts, matrix) if _offered(facts, name)]
    packages = [*modules, *beside, *(f"{n}={v[chosen]}" for n, v in zip(exact, versions, strict=True))]
    why = f"there is no driver; {chosen} is {origin}'s newest of branch {pinned(matrix).driver}, with open modules"
    return Action(Deed.INSTALL, why, (chosen, *packages))


def _versions(facts: GpuFacts, name: str, origin: str, matrix: Mapping[str, Any]) -> dict[str, str]:
    """Driver's version → the package's, of the pinned branch. A transitional package, whose name says 580 and whose
    version says 595, is none of it."""
    wanted = branch(pinned(matrix).driver)
    offers = [o for o in facts.offers if (o.name, o.origin) == (name, origin)]
    return {upstream(o.version): o.version for o in offers if branch(upstream(o.version)) == wanted}


def _has_headers(facts: GpuFacts, origin: str) -> bool:
    return origin == NVIDIA and facts.headers


def _offered(facts: GpuFacts, name: str) -> bool:
    return any(offer.name == name for offer in facts.offers)


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())


def _after(facts: GpuFacts) -> Iterable[Action]:
    if "loaded" not in facts.nouveau:
        return [Action(Deed.LOAD, "a first driver needs no reboot")]
    return [*blacklist(facts), Action(Deed.REBOOT, NOUVEAU, (NOUVEAU,))]


def blacklist(facts: GpuFacts) -> list[Action]:
    """Nothing where it is done."""
    if "blacklisted" in facts.nouveau and "initramfs" not in facts.nouveau:
        return []
    return [Action(Deed.BLACKLIST, NOUVEAU, tuple({"initramfs"} & facts.nouveau))]
