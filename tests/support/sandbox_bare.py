"""Bare machines: Debian 12 with sshd, Debian's own Python without venv, and none of what a bundle brings.

The sandbox's root is purged by apt itself, so that dpkg knows. Its apt has one repository, /srv/packages, which is a
`Repository` of the test's: real packages of Debian (`downloaded`, kept in the user's cache) and such as `make_package`
makes. A package that is added while the machine runs is there after the next `apt-get update`. `reboot` and `systemctl
reboot` on the machine do what `Sandboxes.reboot` does.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

PYTHON = "/usr/bin/python3"
GATEWAY = ("haproxy", "redis-server", "redis-tools", "prometheus", "prometheus-alertmanager")
VENV = ("python3-venv", "python3.11-venv", "python3-pip-whl", "python3-setuptools-whl")
PURGED = (*GATEWAY, *VENV, "prometheus-node-exporter", "python3-pip", "unattended-upgrades")
POLL_S = 0.2
_REBOOT = """#!/bin/sh
# Seen by tests/support/sandbox.py, which ends this machine and boots it again.
touch /dev/.reboot
exec sleep 60
"""
_SYSTEMCTL = """#!/bin/sh
case " $* " in *' reboot '*) exec /usr/local/sbin/reboot ;; esac
exec /usr/bin/systemctl "$@"
"""
_CONTROL = """Package: {name}
Version: {version}
Architecture: amd64
Maintainer: Crossover's tests <nobody@example.com>
Description: made by a test
"""


@dataclass(frozen=True)
class Repository:
    """A folder of packages with an index."""

    folder: Path

    def add(self, packages: Iterable[Path]) -> None:
        """Puts those .deb files in, and renews the index."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for package in packages:
            shutil.copy(package, self.folder)
        index = "\n".join(_entry(path) for path in sorted(self.folder.glob("*.deb"))).encode()
        (self.folder / "Packages").write_bytes(index)
        digest = hashlib.sha256(index).hexdigest()
        (self.folder / "Release").write_text(f"Suite: bare\nSHA256:\n {digest} {len(index)} Packages\n")


@dataclass(frozen=True)
class Bare:
    """How bare a machine is."""

    repository: Repository
    purged: tuple[str, ...] = PURGED

    def lay_out(self, folder: Path) -> None:
        """What process 1 reads in the machine's folder."""
        self.repository.folder.mkdir(parents=True, exist_ok=True)
        (folder / "packages").symlink_to(self.repository.folder)
        (folder / "purged").write_text(" ".join(self.purged))
        if self._layer().exists():
            (folder / "purged.tar").symlink_to(self._layer())

    def keep(self, folder: Path) -> None:
        """Once it is booted: what the purge took seconds for is there for the next one."""
        made = folder / "purged.new"
        if made.exists():
            fresh = self._layer().with_suffix(f".{os.getpid()}.{folder.name}")
            shutil.move(made, fresh)
            fresh.rename(self._layer())

    def _layer(self) -> Path:
        """What the purge of this computer changes, as an archive in the user's cache."""
        known = [Path(name).read_bytes() for name in ("/var/lib/dpkg/status", "/etc/passwd", "/etc/group")]
        digest = hashlib.sha256(b"".join([*known, " ".join(self.purged).encode()])).hexdigest()
        return _cache() / f"purged-{digest[:16]}.tar"


def missing() -> str:
    """What this computer lacks for bare machines, "" if nothing."""
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    system = f"{release.get('ID')} {release.get('VERSION_ID', '').strip(chr(34))}"
    if system != "debian 12" or not Path(PYTHON).exists():
        return f"bare sandboxes are made of Debian 12 with its python3, and this is {system}"
    return ""


def seed(common: Mapping[str, tuple[str | bytes, int]]) -> dict[str, tuple[str | bytes, int]]:
    """Files for the machine, in the form of sandbox.py, made of those of a machine that is not bare."""
    other = {"usr/local/bin/python3", "etc/passwd"}  # a purge has changed users and groups: both stay of one piece
    return {name: text for name, text in common.items() if name not in other} | {
        "etc/apt/sources.list": ("deb [trusted=yes] file:/srv/packages ./\n", 0o644),
        "usr/local/sbin/reboot": (_REBOOT, 0o755),
        "usr/local/bin/systemctl": (_SYSTEMCTL, 0o755),
    }


def asks_for_reboot(pid: int) -> bool:
    """Whether the machine of that unshare(1) wants to be booted again; asked once, it does not want it any more."""
    with contextlib.suppress(OSError, ValueError):
        init = int(Path(f"/proc/{pid}/task/{pid}/children").read_text())
        Path(f"/proc/{init}/root/dev/.reboot").unlink()
        return True
    return False


def downloaded(*names: str, purged: tuple[str, ...] = PURGED, components: str = "") -> list[Path]:
    """Debian's packages of those names, with all that a bare machine needs for them, chosen by this computer's apt and
    kept in the user's cache; with `components`, from those of Debian's archive beside main. Raises RuntimeError with
    apt's words where they cannot be had."""
    folder = _cache() / components.replace(" ", "-")
    archives = folder / "archives"
    for made in (folder / "lists" / "partial", archives / "partial"):
        made.mkdir(parents=True, exist_ok=True)
    status = _status(purged)
    listed = folder / f"{hashlib.sha256(repr((names, status)).encode()).hexdigest()[:16]}.list"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not listed.exists():
            (folder / "status").write_text(status)
            listed.write_text("\n".join(_fetch(folder, names, _sources(folder, components) if components else ())))
    return [archives / name for name in listed.read_text().split()]


def make_package(
    folder: Path,
    name: str,
    version: str,
    *,
    files: Mapping[str, str] | None = None,
    fields: str = "",
    postinst: str = "",
) -> Path:
    """A .deb of our own in `folder`: `files` are executable texts by path, `fields` more lines for its control file."""
    tree = folder / f"{name}-{version}"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN" / "control").write_text(_CONTROL.format(name=name, version=version) + fields)
    scripts = {"DEBIAN/postinst": f"#!/bin/sh\nset -e\n{postinst}\n"} if postinst else {}
    for path, text in {**(files or {}), **scripts}.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text)
        (tree / path).chmod(0o755)
    made = folder / f"{name}_{version.replace(':', '%3a')}_amd64.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Zgzip", "--build", tree, made], check=True, capture_output=True)
    return made


def _entry(path: Path) -> str:
    control = subprocess.run(["dpkg-deb", "--field", path], check=True, capture_output=True, text=True).stdout
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return f"{control.rstrip()}\nFilename: ./{path.name}\nSize: {path.stat().st_size}\nSHA256: {digest}\n"


def _cache() -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "crossover" / "packages"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _status(purged: tuple[str, ...]) -> str:
    """What dpkg will say on a bare machine."""
    entries = Path("/var/lib/dpkg/status").read_text().split("\n\n")
    return "\n\n".join(e for e in entries if e.partition("\n")[0].removeprefix("Package: ") not in purged)


def _sources(folder: Path, components: str) -> tuple[str, ...]:
    """Options of apt: Debian from where this computer has it, with more components."""
    shown = _apt(["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"])
    debian = {line.removesuffix(" main") for line in shown.splitlines() if re.search(r" bookworm\S* main$", line)}
    (folder / "sources.list").write_text("".join(f"deb {place} main {components}\n" for place in sorted(debian)))
    return f"Dir::Etc::sourcelist={folder}/sources.list", "Dir::Etc::sourceparts=/dev/null"


def _fetch(folder: Path, names: Iterable[str], sources: tuple[str, ...]) -> list[str]:
    """Files in the archives that would be installed. The lists are of the cache too: this computer's may be empty."""
    places = {"Dir::State::lists": "lists", "Dir::State::status": "status", "Dir::Cache": ""}
    options = ["APT::Sandbox::User=root", *sources, *(f"{name}={folder}/{place}" for name, place in places.items())]
    command = ["apt-get", "-q", *(word for option in options for word in ("-o", option))]
    install = ["install", "-y", "--no-install-recommends", *names]
    _apt([*command, "update"])
    _apt([*command, *install, "--download-only"])
    shown = _apt([*command, "-o", "Dir::Cache::archives=/nonexistent", *install, "--print-uris"])
    return [line.split()[1] for line in shown.splitlines() if line.startswith("'")]


def _apt(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"})
    if done.returncode:
        raise RuntimeError(f"packages cannot be downloaded here:\n{done.stdout[-500:]}{done.stderr}")
    return done.stdout
