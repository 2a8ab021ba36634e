"""Pure: a bundle and a placement become the full list of what stands on that machine, and what each change disturbs."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from images.bundle import Bundle, PythonEnvironment, Service, Source
from images.remote.errors import InvalidBundle
from images.remote.host import Placement
from images.tokens import environment_folder, resolve
from images.vehicles.ssh.layout import rendering
from images.vehicles.ssh.layout.effects import Effect, effects

MANIFEST = "state/manifest.json"
SUPERVISORD = "supervisor/supervisord.conf"
PROGRAMS = "supervisor/programs/"
SUPERVISOR_ENVIRONMENT = "supervisor"
SUPERVISORD_MARK = "_supervisord"
"""Stands for supervisord itself where services are named; no service can be called so."""

_PATH = re.compile(r"(?!.*(?:^|/)\.\.?(?:/|$))[A-Za-z0-9._+-]+(?:/[A-Za-z0-9._+-]+)*")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SIGNAL = re.compile(r"[A-Z][A-Z0-9]*")
_OURS = ("run", "secrets", "state", "supervisor", "systemd", "logs")


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


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything of one bundle on one machine."""

    bundle: Bundle
    placement: Placement
    files: tuple[PlannedFile, ...]
    manifest: PlannedFile
    """What of ours stands there: paths, hashes and modes; of secrets the names alone, for the hash of a short secret
    would give it away. Secrets are compared by asking the machine for the hash over SSH, and it is not kept."""
    environments: tuple[PlannedEnvironment, ...]

    def folder(self, environment: str) -> str:
        """The folder of a planned environment."""
        return next(e.folder for e in self.environments if e.name == environment)

    def service(self, name: str) -> Service:
        """The bundle's service of that name."""
        return next(s for s in self.bundle.services if s.name == name)


def make_plan(
    bundle: Bundle, placement: Placement, contents: Callable[[Source], bytes], supervisor: Source | None = None
) -> Plan:
    """`contents` gives the bytes of a Source; `supervisor` is the locked requirements of supervisord and must be there
    where the placement has no systemd. Raises InvalidBundle for whatever does not fit together."""
    if placement.supervision == "supervisor":
        if supervisor is None:
            raise InvalidBundle(f"{placement.where} has no systemd: the requirements of supervisor are needed")
        own = PythonEnvironment(SUPERVISOR_ENVIRONMENT, supervisor)
        bundle = replace(bundle, environments=(*bundle.environments, own))
    _validate(bundle)
    files = (*_bundle_files(bundle, placement, contents), *_service_files(bundle, placement))
    environments = tuple(
        PlannedEnvironment(e.name, environment_folder(e.requirements, placement), contents(e.requirements))
        for e in bundle.environments
    )
    _resolve_checks(bundle, placement)
    return Plan(bundle, placement, files, _manifest(bundle, files), environments)


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


def _bundle_files(bundle: Bundle, placement: Placement, contents: Callable[[Source], bytes]) -> tuple[PlannedFile, ...]:
    touched = effects(bundle)
    rendered = [
        PlannedFile(f.path, resolve(f.content, placement, bundle, where=f.path).encode(), f.mode, touched[f.path])
        for f in bundle.files
    ]
    copied = [PlannedFile(s.path, contents(s), s.mode, touched[s.path]) for s in bundle.sources]
    return (*rendered, *copied)


def _service_files(bundle: Bundle, placement: Placement) -> tuple[PlannedFile, ...]:
    files = []
    for position, service in enumerate(bundle.services):
        restart: dict[str, Effect] = {service.name: "restart"}
        script = rendering.launcher(service, placement, bundle)
        files.append(PlannedFile(f"run/{service.name}", script.encode(), 0o755, restart))
        if placement.supervision == "supervisor":
            program = rendering.supervisor_program(service, placement, position)
            # `supervisorctl update` restarts what differs here, so that a restart on top would be one too many.
            files.append(PlannedFile(f"{PROGRAMS}{service.name}.conf", program.encode(), 0o644, {}))
        else:
            unit = rendering.systemd_unit(service, placement, bundle.role)
            path = f"systemd/{rendering.unit_name(bundle.role, service.name)}"
            files.append(PlannedFile(path, unit.encode(), 0o644, restart))
    if placement.supervision == "supervisor":
        environment = next(e for e in bundle.environments if e.name == SUPERVISOR_ENVIRONMENT)
        text = rendering.supervisord_configuration(placement, environment_folder(environment.requirements, placement))
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


def draft_manifest(plan: Plan, recorded: Mapping[str, Any]) -> PlannedFile:
    """The manifest that holds while files are replaced: the plan's, and what the machine recorded before, so that an
    install that is interrupted still knows what to remove."""
    value = json.loads(plan.manifest.content)
    value["files"] = {**recorded.get("files", {}), **value["files"]}
    for name in ("secrets", "services"):
        value[name] += [n for n in recorded.get(name, ()) if n not in value[name]]
    return replace(plan.manifest, content=_manifest_text(value))


def _resolve_checks(bundle: Bundle, placement: Placement) -> None:
    """Finds an unknown token before anything is sent."""
    for check in bundle.checks:
        where = f"check {check.name}"
        if check.port not in placement.ports:
            raise InvalidBundle(f"{where}: {placement.where} has no port named {check.port}")
        for text in (check.path, check.body, check.tls_ca, check.tls_server_name):
            resolve(text or "", placement, bundle, where=where)


def _validate(bundle: Bundle) -> None:
    problems = [f"role {bundle.role!r} is no name"] if not _NAME.fullmatch(bundle.role) else []
    paths = [*(f.path for f in bundle.files), *(s.path for s in bundle.sources)]
    for path in (*paths, *bundle.directories):
        if not _PATH.fullmatch(path):
            problems.append(f"{path!r} is no path below the root (letters, digits, . _ + - and /)")
        elif path.split("/")[0] in _OURS and path not in bundle.directories:
            problems.append(f"{path}: the folders {', '.join(_OURS)} are the installer's")
    problems += [f"{path} is there twice" for path in sorted({p for p in paths if paths.count(p) > 1})]
    problems += _named_twice("environment", [e.name for e in bundle.environments])
    problems += _named_twice("service", [s.name for s in bundle.services])
    problems += _named_twice("secret", list(bundle.secrets))
    for service in bundle.services:
        problems += _service_problems(service, bundle)
    for check in bundle.checks:
        if check.bearer_secret is not None and check.bearer_secret not in bundle.secrets:
            problems.append(f"check {check.name}: the bundle has no secret {check.bearer_secret}")
    if problems:
        raise InvalidBundle(f"the bundle {bundle.role} cannot be installed: {'; '.join(problems)}")


def _named_twice(kind: Literal["environment", "service", "secret"], names: list[str]) -> list[str]:
    wrong = [
        f"{kind} {name!r}: names are lower-case letters, digits, . _ -" for name in names if not _NAME.fullmatch(name)
    ]
    return wrong + [f"{kind} {name} is there twice" for name in sorted({n for n in names if names.count(n) > 1})]


def _service_problems(service: Service, bundle: Bundle) -> list[str]:
    where = f"service {service.name}"
    problems = [] if service.command else [f"{where} has no command"]
    if any("\0" in text for text in (*service.command, *service.environment.values())):
        problems.append(f"{where} has a zero byte in its command or environment")
    for name in (*service.environment, *service.secret_environment):
        if not _VARIABLE.fullmatch(name):
            problems.append(f"{where}: {name!r} is no name of a variable")
    for secret in service.secret_environment.values():
        if secret not in bundle.secrets:
            problems.append(f"{where}: the bundle has no secret {secret}")
    if service.reload_signal is not None and not _SIGNAL.fullmatch(service.reload_signal):
        problems.append(f"{where}: {service.reload_signal!r} is no signal's name, such as HUP")
    if service.reload_files and service.reload_signal is None:
        problems.append(f"{where} names reload_files and no reload_signal")
    return problems
