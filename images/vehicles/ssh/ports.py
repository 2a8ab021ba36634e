"""Whether somebody else listens where our services are about to."""

from __future__ import annotations

import re

from images.bundle import Bundle
from images.remote.connection import Connection
from images.remote.errors import CommandFailed
from images.remote.scripts import require
from images.remote.waiting import Waiting
from images.vehicles.ssh.layout.layout import Layout
from images.vehicles.ssh.scripts import run_script

_PORT = re.compile(r"@PORT:([A-Za-z0-9._-]+)@")


def require_ports(connection: Connection, layout: Layout, watch: Waiting) -> None:
    """Raises CommandFailed, naming port, program and unit, where a stranger has a port of the bundle's: the service
    would loop, and a check could pass against the stranger."""
    host = layout.host
    ports = [str(host.ports[name]) for name in named_ports(layout.bundle) if name in host.ports]
    result = run_script(
        connection,
        "ports",
        args=[host.root, host.bind, *ports],
        watch=watch,
        step="looking at ports",
        root=host.supervision == "systemd",  # to see the sockets of others; systemd needs root anyway
    )
    lines = [line.split("\t")[1:] for line in require(result, f"{host.where} cannot be asked").stdout.splitlines()]
    if lines:
        raise CommandFailed(
            f"{host.where} cannot start {layout.bundle.role}: {'; '.join(_taken(*words) for words in lines)}. It is "
            "none of ours and stays as it is: stop it (systemctl disable --now …) or move it elsewhere, and run again"
        )


def named_ports(bundle: Bundle) -> list[str]:
    """Pure: names of the ports that files and services of the bundle hold, in their order and once each."""
    words = [word for s in bundle.services for word in (*s.command, *s.environment.values())]
    text = "\n".join([*(f.content for f in bundle.files), *words])
    return list(dict.fromkeys(_PORT.findall(text)))


def _taken(port: str, program: str, pid: str, unit: str) -> str:
    known = ", ".join([*([f"pid {pid}"] if pid else []), *([f"unit {unit}"] if unit else [])])
    return f"port {port} is in use by {program or 'a program of another user'}{f' ({known})' if known else ''}"
