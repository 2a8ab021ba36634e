"""Takes a bundle off a machine that stays, and minds no machine that is gone."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from images.bundle import Bundle
from images.remote.connection import Connection
from images.remote.errors import CommandFailed, HostKeyChanged, Unreachable
from images.remote.host import Host
from images.remote.scripts import require
from images.remote.waiting import Waiting
from images.vehicles.ssh.keepers.keeper import longest_stop_s
from images.vehicles.ssh.layout.rendering import supervisor_socket, unit_name
from images.vehicles.ssh.scripts import run_script


def remove(
    host: Host,
    bundle: Bundle,
    private_key: str,
    *,
    say: Callable[[str], None] = lambda _: None,
    cancelled: Callable[[], bool] = lambda: False,
    deadline_s: float = 300,
) -> bool:
    """Ends the bundle's services and removes our files and secrets; data folders, logs and environments stay.

    Returns False where there was nothing to do: the machine does not answer, or another one has its address now.
    Services get their `stop_timeout_s` to end before they are killed. Raises AuthenticationFailed, CommandFailed,
    Cancelled, DeadlineExceeded.
    """
    watch = Waiting(deadline_s, cancelled)
    try:
        connection = Connection.open(host, private_key, cancelled=cancelled)
    except (Unreachable, HostKeyChanged) as e:
        say(f"nothing to remove: {e}")
        return False
    with connection:
        say("ending the services")
        manifest = _manifest(connection, watch)
        names = dict.fromkeys((*(s.name for s in bundle.services), *manifest.get("services", ())))
        units = [unit_name(bundle.role, n) for n in names] if host.supervision == "systemd" else []
        arguments = [host.root, str(longest_stop_s(bundle)), supervisor_socket(host), *units]
        result = run_script(connection, "strays", "remove", args=arguments, watch=watch, step="ending the services")
        require(result, f"services on {host.where} do not end")
        _clean(connection, manifest, watch)
    return True


def _manifest(connection: Connection, watch: Waiting) -> dict[str, Any]:
    script = 'if [ -f "$1/state/manifest.json" ]; then cat "$1/state/manifest.json"; else echo "{}"; fi'
    result = connection.run(script, connection.host.root, watch=watch, step="reading the manifest")
    try:
        value = json.loads(result.stdout)
    except ValueError as e:
        raise CommandFailed(f"the manifest on {connection.host.where} cannot be read: {e}") from e
    return value if isinstance(value, dict) else {}


def _clean(connection: Connection, manifest: dict[str, Any], watch: Waiting) -> None:
    run_script(
        connection,
        "clean",
        args=[connection.host.root],
        stdin="".join(f"{path}\n" for path in manifest.get("files", {})).encode(),
        watch=watch,
        step="removing files",
    )
