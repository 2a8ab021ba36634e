"""What programs are called as packages of Debian and Ubuntu, and how old they may be."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Program:
    """A program that Debian packages."""

    package: str
    least: str = ""
    """The oldest version that serves; the program tells its own by `-v`."""
    why: str = ""


PROGRAMS = {
    "alertmanager": Program("prometheus-alertmanager"),
    "amtool": Program("prometheus-alertmanager"),
    "curl": Program("curl"),
    "flock": Program("util-linux"),
    "gcc": Program("gcc"),
    "haproxy": Program("haproxy", "2.5", "older ones have no http_auth_bearer, by which clients' keys are checked"),
    "prometheus": Program("prometheus"),
    "prometheus-alertmanager": Program("prometheus-alertmanager"),
    "promtool": Program("prometheus"),
    "python3-config": Program("python3-dev"),
    "redis-cli": Program("redis-tools"),
    "redis-server": Program("redis-server"),
    "sha256sum": Program("coreutils"),
    "tar": Program("tar"),
    "xargs": Program("findutils"),
}
"""By the program's name. The packages are called alike in Debian 12, Ubuntu 22.04 and 24.04."""
VENV = "python3-venv"
"""Brings python3 too."""


def demand(program: str) -> str:
    """As `images.packages.apt.install` takes it. Raises KeyError for what Debian does not package."""
    known = PROGRAMS[program]
    return f"{known.package}>={known.least}" if known.least else known.package


def too_old(program: str, version: str) -> str:
    """What is wrong with that version, "" if nothing; one that cannot be read is not held against it."""
    known = PROGRAMS.get(program)
    if known is None or not known.least or not _numbers(version) or _numbers(version) >= _numbers(known.least):
        return ""
    return f"{program} is {version}, and {known.least} is the least: {known.why}"


def _numbers(version: str) -> tuple[int, ...]:
    """(2, 4, 24) of "2.4.24-0ubuntu0.22.04.1"."""
    match = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in match[0].split(".")) if match else ()
