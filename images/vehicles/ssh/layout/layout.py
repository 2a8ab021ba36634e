"""A bundle and a host become the full list of what stands on that machine, and what each change disturbs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from images.bundle import Bundle, PythonEnvironment, Service, Source
from images.remote.errors import InvalidBundle
from images.remote.host import Host
from images.sources import read_source, repository_source
from images.tokens import environment_folder, resolve, resolve_file
from images.vehicles.ssh.layout import rendering
from images.vehicles.ssh.layout.effects import Effect, effects
from images.vehicles.ssh.layout.validation import validate

MANIFEST = "state/manifest.json"
SUPERVISORD = "supervisor/supervisord.conf"
PROGRAMS = "supervisor/programs/"
SUPERVISOR_ENVIRONMENT = "supervisor"
SUPERVISOR_REQUIREMENTS = "requirements/supervisor.txt"
INSTALLER = "uv"
"""The environment that holds the program of that name."""
SUPERVISORD_MARK = "_supervisord"
"""Stands for supervisord itself where services are named; no service can be called so."""


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """A file as it is to stand on the machine, tokens resolved. `path` is relative to the root."""

    path: str
    content: bytes
    mode: int
    effects: Mapping[str, Effect]
    """What a change of this file asks of which service."""
    secret: bool = False

    @property
    def sha256(self) -> str:
        """Of the content, hex."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True)
class PlannedEnvironment:
    """A Python environment: its folder on the machine, and the requirements that make it."""

    name: str
    folder: str
    requirements: bytes
    disk_bytes: int = 0
    """What building it takes."""
    installer: PlannedEnvironment | None = None
    """The one that holds uv, for a machine that has none."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Everything of one bundle on one machine."""

    bundle: Bundle
    host: Host
    files: tuple[PlannedFile, ...]
    manifest: PlannedFile
    """What of ours stands there: paths, hashes and modes; of secrets the names alone, for the hash of a short secret
    would give it away. Secrets are compared by asking the machine for the hash over SSH, and it is not kept."""
    environments: tuple[PlannedEnvironment, ...]
    record: bytes | None = None
    """Of the bundle's weights (`images.weights.records`); None where none is pinned."""

    def folder(self, environment: str) -> str:
        """The folder of a planned environment."""
        return next(e.folder for e in self.environments if e.name == environment)

    def service(self, name: str) -> Service:
        """The bundle's service of that name."""
        return next(s for s in self.bundle.services if s.name == name)


def layout_for(host: Host, bundle: Bundle, repository: Path) -> Layout:
    """The layout, with sources read from `repository`. Raises InvalidBundle, also where a file has changed since the
    bundle was rendered."""

    def contents(source: Source) -> bytes:
        return read_source(source, repository)

    supervisor = None
    if host.supervision == "supervisor":
        supervisor = repository_source("supervisor.txt", SUPERVISOR_REQUIREMENTS, root=repository)
    return make_layout(bundle, host, contents, supervisor)


def make_layout(
    bundle: Bundle, host: Host, contents: Callable[[Source], bytes], supervisor: Source | None = None
) -> Layout:
    """Pure. `contents` gives the bytes of a Source; `supervisor` is the locked requirements of supervisord and must be
    there where the host has no systemd. Raises InvalidBundle for whatever does not fit together."""
    if host.supervision == "supervisor":
        if supervisor is None:
            raise InvalidBundle(f"{host.where} has no systemd: the requirements of supervisor are needed")
        own = PythonEnvironment(SUPERVISOR_ENVIRONMENT, supervisor)
        bundle = replace(bundle, environments=(*bundle.environments, own))
    validate(bundle)
    files = (*_bundle_files(bundle, host, contents), *_service_files(bundle, host))
    environments = tuple(_environment(e, host, contents) for e in bundle.environments)
    _resolve_checks(bundle, host)
    record = bundle.weights.record if bundle.weights else None
    pinned = None if record is None else contents(record)
    return Layout(bundle, host, files, _manifest(bundle, files), environments, pinned)


def _environment(wanted: PythonEnvironment, host: Host, contents: Callable[[Source], bytes]) -> PlannedEnvironment:
    def planned(name: str, lock: Source) -> PlannedEnvironment:
        return PlannedEnvironment(name, environment_folder(lock, host), contents(lock))

    installer = None if wanted.installer is None else planned(INSTALLER, wanted.installer)
    return replace(planned(wanted.name, wanted.requirements), disk_bytes=wanted.disk_bytes, installer=installer)


def secret_files(bundle: Bundle, secrets: Mapping[str, str]) -> tuple[PlannedFile, ...]:
    """The files of the bundle's secrets, 0600. Those that the bundle does not name are left out: a machine gets what
    it needs. Raises InvalidBundle, with names alone, if one is missing or empty."""
    missing = [name for name in bundle.secrets if not secrets.get(name)]
    if missing:
        raise InvalidBundle(f"the bundle {bundle.role} needs secrets that were not given: {', '.join(missing)}")
    touched = effects(bundle)
    return tuple(
        PlannedFile(f"secrets/{name}", secrets[name].encode(), 0o600, touched.get(f"secrets/{name}", {}), secret=True)
        for name in bundle.secrets
    )


def _bundle_files(bundle: Bundle, host: Host, contents: Callable[[Source], bytes]) -> tuple[PlannedFile, ...]:
    touched = effects(bundle)
    rendered = [
        PlannedFile(f.path, resolve_file(f.path, f.content, host, bundle).encode(), f.mode, touched[f.path])
        for f in bundle.files
    ]
    copied = [PlannedFile(s.path, contents(s), s.mode, touched[s.path]) for s in bundle.sources]
    return (*rendered, *copied)


def _service_files(bundle: Bundle, host: Host) -> tuple[PlannedFile, ...]:
    files = []
    for position, service in enumerate(bundle.services):
        restart: dict[str, Effect] = {service.name: "restart"}
        script = rendering.launcher(service, host, bundle)
        files.append(PlannedFile(f"run/{service.name}", script.encode(), 0o755, restart))
        if host.supervision == "supervisor":
            program = rendering.supervisor_program(service, host, position)
            # `supervisorctl update` restarts what differs here, so that a restart on top would be one too many.
            files.append(PlannedFile(f"{PROGRAMS}{service.name}.conf", program.encode(), 0o644, {}))
        else:
            unit = rendering.systemd_unit(service, host, bundle)
            path = f"systemd/{rendering.unit_name(bundle.role, service.name)}"
            files.append(PlannedFile(path, unit.encode(), 0o644, restart))
    if host.supervision == "supervisor":
        environment = next(e for e in bundle.environments if e.name == SUPERVISOR_ENVIRONMENT)
        text = rendering.supervisord_configuration(host, environment_folder(environment.requirements, host))
        files.append(PlannedFile(SUPERVISORD, text.encode(), 0o644, {SUPERVISORD_MARK: "restart"}))
    return tuple(files)


def _manifest(bundle: Bundle, files: tuple[PlannedFile, ...]) -> PlannedFile:
    value = {
        "files": {f.path: {"mode": f"{f.mode:o}", "sha256": f.sha256} for f in files},
        "role": bundle.role,
        "secrets": sorted(bundle.secrets),
        "services": [s.name for s in bundle.services],
    }
    return PlannedFile(MANIFEST, _manifest_text(value), 0o600, {})


def _manifest_text(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()


def draft_manifest(layout: Layout, recorded: Mapping[str, Any]) -> PlannedFile:
    """The manifest that holds while files are replaced: the layout's, and what the machine recorded before, so that an
    install that is interrupted still knows what to remove."""
    value = json.loads(layout.manifest.content)
    value["files"] = {**recorded.get("files", {}), **value["files"]}
    for name in ("secrets", "services"):
        value[name] += [n for n in recorded.get(name, ()) if n not in value[name]]
    return replace(layout.manifest, content=_manifest_text(value))


def _resolve_checks(bundle: Bundle, host: Host) -> None:
    """Finds an unknown token before anything is sent."""
    for check in bundle.checks:
        where = f"check {check.name}"
        if check.port not in host.ports:
            raise InvalidBundle(f"{where}: {host.where} has no port named {check.port}")
        for text in (check.path, *check.more_paths, check.body, check.tls_ca, check.tls_server_name):
            resolve(text or "", host, bundle, where=where)
