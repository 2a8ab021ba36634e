"""Where a bundle is put: one machine as the installer sees it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from images.remote.errors import InvalidBundle

_ABSOLUTE = re.compile(r"/[^\x00-\x1f\x7f\"$`;#\\]*")
"""Paths that mean the same in sh, systemd units and supervisor's configuration. Spaces are fine."""


@dataclass(frozen=True, slots=True)
class Way:
    """How SSH gets to a machine."""

    address: str
    port: int
    tunnel: tuple[str, ...] = ()
    """The program, with its arguments, whose stdin and stdout are the machine's SSH; empty: `address` answers SSH."""

    def __str__(self) -> str:
        return f"{self.address}:{self.port}"


@dataclass(frozen=True, slots=True)
class Host:
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
    """As of Way."""
    scratch: str = ""
    """Where the machine may have fast disks mounted, which a stop empties: a bundle's data folders lie there if it
    has."""
    weights_root: str = ""
    """Where a volume for models' files is mounted; empty: they lie below `root`."""

    def __post_init__(self) -> None:
        rare = {"scratch": self.scratch or "/none", "weights_root": self.weights_root or "/none"}
        for name, path in {"root": self.root, "cache": self.cache, **rare}.items():
            if not _ABSOLUTE.fullmatch(path) or ".." in path.split("/") or path.rstrip("/") == "":
                raise InvalidBundle(
                    f'{name} {path!r} is no absolute path that every tool reads alike: no " $ ; # ` or \\'
                )
        if self.supervision not in ("systemd", "supervisor"):
            raise InvalidBundle(f"supervision {self.supervision!r} is unknown: systemd or supervisor")

    @property
    def way(self) -> Way:
        """How SSH gets there."""
        return Way(self.address, self.ssh_port, self.tunnel)

    @property
    def weights(self) -> str:
        """The folder of models' files."""
        return self.weights_root or f"{self.root}/models"

    @property
    def where(self) -> str:
        """For messages: user@address:port."""
        return f"{self.ssh_user}@{self.address}:{self.ssh_port}"

    @property
    def loopback(self) -> str:
        """The address under which services that listen on `bind` are reached on the machine itself."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(self.bind, self.bind)
