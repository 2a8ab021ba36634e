"""Where a bundle is put: the machine's side of what a bundle leaves open, and the tokens that join the two.

| token            | becomes                                                                        |
|------------------|--------------------------------------------------------------------------------|
| `@ROOT@`         | `Placement.root`                                                               |
| `@BIND@`         | `Placement.bind`                                                               |
| `@SERVER_NAME@`  | `Placement.server_name`: the name in the machine's certificate                 |
| `@PORT:name@`    | `Placement.ports[name]`                                                        |
| `@ENV:name@`     | the folder of that Python environment, `{cache}/venvs/<hash of requirements>`  |
| `@SECRET:name@`  | the path (never the content) of that secret's file, `{root}/secrets/<name>`    |

Replacement is strict and happens once: an unknown, misspelt or unfinished token is an error that names it and where
it stands, and what a token becomes is not searched again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from images.bundle import Bundle, Source
from images.remote.errors import InvalidBundle

_TOKEN = re.compile(r"@([A-Z][A-Z_]*)(?::([A-Za-z0-9._-]*))?@|@(?:ROOT|BIND|SERVER_NAME|PORT|ENV|SECRET)\b[^\s@]*")
_ABSOLUTE = re.compile(r"/[^\x00-\x1f\x7f\"'%$`;#\\]*")
"""Paths that mean the same in sh, systemd units and supervisor's configuration. Spaces are fine."""


@dataclass(frozen=True, slots=True)
class Placement:
    """One machine as the installer sees it. Two roles on one machine have a root each (their caches may be one)."""

    address: str
    ssh_port: int
    ssh_user: str
    host_key: str
    """The one host key that is accepted, "ssh-ed25519 AAAA…"; a comment behind it is ignored."""
    root: str
    cache: str
    bind: str
    ports: Mapping[str, int] = field(default_factory=dict)
    supervision: str = "systemd"
    """"systemd" or "supervisor"."""
    server_name: str = ""
    """The DNS name in the machine's certificate, e.g. "a.nodes.crossover.internal"; checks over TLS ask for it."""
    tunnel: tuple[str, ...] = ()
    """The program, with its arguments, whose stdin and stdout are the machine's SSH; empty: `address` answers SSH."""
    scratch: str = ""
    """Where the machine may have fast disks mounted, which a stop empties: a bundle's data folders lie there if it
    has."""

    def __post_init__(self) -> None:
        for name, path in (("root", self.root), ("cache", self.cache), ("scratch", self.scratch or "/none")):
            if not _ABSOLUTE.fullmatch(path) or ".." in path.split("/") or path.rstrip("/") == "":
                raise InvalidBundle(
                    f"{name} {path!r} is no absolute path that every tool reads alike: no quotes, no % $ ; # ` or \\"
                )
        if self.supervision not in ("systemd", "supervisor"):
            raise InvalidBundle(f"supervision {self.supervision!r} is unknown: systemd or supervisor")

    @property
    def where(self) -> str:
        """For messages: user@address:port."""
        return f"{self.ssh_user}@{self.address}:{self.ssh_port}"

    @property
    def loopback(self) -> str:
        """The address under which services that listen on `bind` are reached on the machine itself."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(self.bind, self.bind)


def environment_folder(requirements: Source, placement: Placement) -> str:
    """The folder of the environment that those requirements make: equal requirements share one."""
    return f"{placement.cache}/venvs/{requirements.sha256[:16]}"


def secret_path(name: str, placement: Placement) -> str:
    """Where a secret's content lies on the machine."""
    return f"{placement.root}/secrets/{name}"


def resolve(text: str, placement: Placement, bundle: Bundle, *, where: str) -> str:
    """`text` with every token replaced. `where` names the file or field for the InvalidBundle of a token that is
    unknown, unfinished, or names what neither bundle nor placement has."""

    def one(match: re.Match[str]) -> str:
        return _value(match, placement, bundle, where)

    return _TOKEN.sub(one, text)


def _value(match: re.Match[str], placement: Placement, bundle: Bundle, where: str) -> str:
    token, kind, name = match[0], match[1], match[2]
    plain = {"ROOT": placement.root, "BIND": placement.bind, "SERVER_NAME": placement.server_name}
    environments = {e.name: environment_folder(e.requirements, placement) for e in bundle.environments}
    named: dict[str, dict[str, str]] = {
        "PORT": {n: str(p) for n, p in placement.ports.items()},
        "ENV": environments,
        "SECRET": {n: secret_path(n, placement) for n in bundle.secrets},
    }
    if kind in plain and name is None:
        if kind == "SERVER_NAME" and not plain[kind]:
            raise InvalidBundle(f"{where}: {token} is used, and the placement of {placement.where} has no server_name")
        return plain[kind]
    if kind in named and name is not None:
        if name not in named[kind]:
            known = ", ".join(sorted(named[kind])) or "none"
            raise InvalidBundle(f"{where}: {token} names nothing that is there (known: {known})")
        return named[kind][name]
    raise InvalidBundle(
        f"{where}: {token} is no token: known are @ROOT@, @BIND@, @SERVER_NAME@, @PORT:name@, @ENV:name@, @SECRET:name@"
    )
