"""Ends what a destroyed stack left on this computer: machines of the cloud `local` that no state knows any more.

Usage: python -m scripts.leftovers STACK. `scripts/down` calls it after the destroy: an engine that was killed at the
wrong moment has machines that its state never learned of. Machines of other stacks stay.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from pathlib import Path

from providers.clouds.local.client import KILLED_S, MARK, LocalClient
from providers.clouds.local.config import LocalConfig
from providers.clouds.local.sshd import shown
from providers.errors import CloudError

GRACE_SECONDS = 5.0


def end_machines(client: LocalClient, stack: str) -> list[str]:
    """End the machines whose recorded owner is `stack`; the ids of those that were there."""
    owned = [machine for machine in client.ids() if client.record(machine)["owner"]["stack"] == stack]
    for machine in owned:
        client.destroy(machine)
    return owned


def strays(state: Path, proc: Path = Path("/proc")) -> dict[int, str]:
    """Processes (id → machine) with the mark of a machine under `state` whose folder is gone, and its sshd, which wrote
    a title over its mark: nobody else ends them."""
    prefix = os.fsencode(f"{MARK}={state}/")
    title = re.compile(re.escape(shown(state)) + rb"/(m-[0-9a-z]+)/sshd_config")
    found: dict[int, str] = {}
    for entry in proc.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            environ = (entry / "environ").read_bytes().split(b"\0")
            sshd = title.search((entry / "cmdline").read_bytes())
        except OSError:  # ended meanwhile, or another user's
            continue
        marks = [variable.removeprefix(prefix) for variable in environ if variable.startswith(prefix)]
        for machine in map(os.fsdecode, [*marks, *([sshd[1]] if sshd else [])]):
            if not (state / machine).exists():
                found[int(entry.name)] = machine
    return found


def end_strays(state: Path, grace_seconds: float) -> dict[int, str]:
    """SIGTERM, then SIGKILL after `grace_seconds`; what was there. CloudError if one survives both."""
    first = left = strays(state)
    for number, within_s in ((signal.SIGTERM, grace_seconds), (signal.SIGKILL, KILLED_S)):
        for pid in left:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass
        deadline = time.monotonic() + within_s
        while (left := strays(state)) and time.monotonic() < deadline:
            time.sleep(0.05)
        if not left:
            return first
    raise CloudError(f"processes {sorted(left)} of machines that are gone do not end: kill -9 them by hand")


def main(arguments: list[str]) -> int:
    [stack] = arguments
    client = LocalClient(LocalConfig.from_environment())
    try:
        machines = end_machines(client, stack)
        processes = end_strays(client.config.state, GRACE_SECONDS)
    except CloudError as error:
        print(f"scripts/down: {error}", file=sys.stderr)
        return 1
    if machines:
        print(f"==> ended {len(machines)} machine(s) that the state did not know: {', '.join(machines)}")
    if processes:
        print(f"==> ended {len(processes)} process(es) of machines that were gone: {sorted(processes)}")
    print("==> nothing of it is left on this computer")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
