"""Pure: what a bundle says that no machine could be given."""

from __future__ import annotations

import re
from typing import Literal

from images.bundle import Bundle, Service
from images.remote.errors import InvalidBundle
from images.vehicles.ssh.layout.effects import used_by

_PATH = re.compile(r"(?!.*(?:^|/)\.\.?(?:/|$))[A-Za-z0-9._+-]+(?:/[A-Za-z0-9._+-]+)*")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SIGNAL = re.compile(r"[A-Z][A-Z0-9]*")
_OURS = ("run", "secrets", "state", "supervisor", "systemd", "logs")


def validate(bundle: Bundle) -> None:
    """Raises InvalidBundle with all that is wrong: names, paths, and what refers to what is not there."""
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
        for secret in (check.bearer_secret, check.client_certificate):
            if secret is not None and secret not in bundle.secrets:
                problems.append(f"check {check.name}: the bundle has no secret {secret}")
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
    if service.own_user:
        problems += [f"{where} has a user of its own, {why}" for why in _not_apart(service, bundle)]
    return problems


def _not_apart(service: Service, bundle: Bundle) -> list[str]:
    """What a service cannot do that systemd shows files as they were when it started, and hands its secrets."""
    named = {path.removeprefix("secrets/") for path in used_by(service, bundle) if path.startswith("secrets/")}
    read = sorted(named - {*service.secret_environment.values()})
    problems = [f"and can read no secret's file: {name} must be in a variable" for name in read]
    if service.reload_signal is not None:
        problems.append("and finds its files as they were when it started: it cannot be reloaded")
    return problems
