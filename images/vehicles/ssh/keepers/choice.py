"""Which keeper a machine has."""

from __future__ import annotations

from collections.abc import Callable

from images.remote.connection import Connection
from images.remote.waiting import Waiting
from images.vehicles.ssh.keepers.keeper import Keeper
from images.vehicles.ssh.keepers.supervisor import Supervisor
from images.vehicles.ssh.keepers.systemd import Systemd
from images.vehicles.ssh.layout.layout import Layout

KEEPERS: dict[str, type[Keeper]] = {"systemd": Systemd, "supervisor": Supervisor}
"""By `Host.supervision`."""


def keeper(connection: Connection, layout: Layout, watch: Waiting, say: Callable[[str], None]) -> Keeper:
    """What keeps the services of that layout alive."""
    return KEEPERS[layout.host.supervision](connection, layout, watch, say)
