"""What stands on a machine, asked in one go and without changing anything."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, field
from typing import Any

from images.packages.programs import PROGRAMS
from images.remote.connection import Connection
from images.remote.scripts import require
from images.remote.waiting import Waiting
from images.vehicles.ssh.layout.layout import MANIFEST, SUPERVISOR_ENVIRONMENT, Layout, PlannedFile
from images.vehicles.ssh.layout.rendering import unit_name
from images.vehicles.ssh.scripts import run_script

ALWAYS_NEEDED = ("curl", "flock", "sha256sum", "tar", "xargs")


@dataclass(slots=True)
class Probe:
    """The machine's answers. Paths are relative to the root."""

    programs: dict[str, str] = field(default_factory=dict)
    """Name → path, empty where it is missing."""
    versions: dict[str, str] = field(default_factory=dict)
    """Of programs that must not be too old."""
    apt: bool = False
    shared: bool = False
    """It is a folder of a computer, whose packages are not ours to install: a machine of `local`."""
    packages_pending: bool = False
    """An install of packages was interrupted."""
    environments: set[str] = field(default_factory=set)
    """Folders of Python environments that work."""
    python: str = ""
    python_problem: str = "none"
    uv: str = ""
    free_root_bytes: int = 0
    hashes: dict[str, str] = field(default_factory=dict)
    modes: dict[str, str] = field(default_factory=dict)
    manifest: str = ""
    pending: dict[str, str] = field(default_factory=dict)
    """Service → "restart" or "reload", asked for by an install that was interrupted."""
    supervisord: bool = False
    services: dict[str, str] = field(default_factory=dict)
    """Service or unit → its state in its supervisor's word."""

    def differs(self, file: PlannedFile) -> bool:
        """Whether the file has to be sent."""
        return self.hashes.get(file.path) != file.sha256 or self.modes.get(file.path) != f"{file.mode:o}"

    def recorded(self) -> dict[str, Any]:
        """The machine's manifest; empty if there is none that can be read."""
        try:
            value = json.loads(self.manifest)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    def leftovers(self, layout: Layout) -> tuple[str, ...]:
        """Files of ours, by the machine's manifest, that the layout no longer has."""
        old = self.recorded()
        paths = {*old.get("files", {}), *(f"secrets/{name}" for name in old.get("secrets", ()))}
        kept = {*(f.path for f in layout.files), *(f"secrets/{name}" for name in layout.bundle.secrets)}
        return tuple(sorted(paths - kept))


def ask(connection: Connection, layout: Layout, secrets: tuple[str, ...], watch: Waiting) -> Probe:
    """Probes the machine for everything in the layout and for the secrets of those names."""
    host, bundle = layout.host, layout.bundle
    supervisor = host.supervision == "supervisor"
    lines = [f"program {name}" for name in dict.fromkeys((*ALWAYS_NEEDED, *bundle.programs))]
    lines += [f"version {name}" for name in bundle.programs if name in PROGRAMS and PROGRAMS[name].least]
    lines += [f"environment {e.folder}" for e in layout.environments]
    lines += [f"file {path}" for path in (*(f.path for f in layout.files), MANIFEST)]
    lines += [f"file secrets/{name}" for name in secrets]
    if not supervisor:
        lines += [f"unit {unit_name(bundle.role, s.name)}" for s in bundle.services]
    environment = layout.folder(SUPERVISOR_ENVIRONMENT) if supervisor else ""
    result = run_script(
        connection,
        "python",
        "probe",
        args=[host.root, host.cache, host.supervision, environment],
        stdin=("\n".join(lines) + "\n").encode(),
        watch=watch,
        step="looking at the machine",
    )
    return parse(require(result, f"{host.where} could not be looked at").stdout)


def parse(text: str) -> Probe:
    """The answers of probe.sh. Lines it does not know are skipped."""
    probe = Probe()
    for line in text.splitlines():
        kind, *words = line.split("\t")
        match kind, words:
            case "program", [name, path]:
                probe.programs[name] = path
            case "version", [name, version]:
                probe.versions[name] = version
            case "apt", ["there"]:
                probe.apt = True
            case "shared", ["yes"]:
                probe.shared = True
            case "packages", ["pending"]:
                probe.packages_pending = True
            case "environment", [folder, "there"]:
                probe.environments.add(folder)
            case "python", [path]:
                probe.python, probe.python_problem = path, ""
            case "python_problem", [problem]:
                probe.python_problem = problem
            case "uv", [path]:
                probe.uv = path
            case "free", [root, _]:
                probe.free_root_bytes = int(root)
            case "sha256", [path, digest]:
                probe.hashes[path] = digest
            case "mode", [path, mode]:
                probe.modes[path] = mode
            case "manifest", [encoded]:
                probe.manifest = _decoded(encoded)
            case "pending", [service, effect]:
                probe.pending[service] = effect
            case "supervisord", ["running"]:
                probe.supervisord = True
            case "service", [name, state]:
                probe.services[name] = state
    return probe


def _decoded(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
