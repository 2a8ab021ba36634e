"""Entries of a list of machines that are owned."""

from __future__ import annotations

import getpass
from typing import Any

from tests.support import sshd

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE2Z1Wb2GJCbvgdM3dFVgk0UsCMfJWSMkBYGDpLbPVxX"


def entry(name: str = "dgx-1", **changes: Any) -> dict[str, Any]:
    """One machine as a team would list it; a change to None removes a key."""
    values = {
        "id": name, "address": f"{name}.example", "sshUser": "ubuntu", "hostKey": HOST_KEY, "region": "hall-1/rack-1",
        "sku": "small", "gpus": 8, "gpuMemoryGib": 80, "purchaseUsd": 180_000, "months": 36, "watts": 4500,
        "usdPerKwh": 0.18, **changes,
    }  # fmt: skip
    return {key: value for key, value in values.items() if value is not None}


def owned(machine: sshd.Machine, name: str, **changes: Any) -> dict[str, Any]:
    """A machine of tests/support/sshd.py as a team would list it."""
    reached = {
        "address": "127.0.0.1", "sshPort": machine.ssh_port, "sshUser": getpass.getuser(), "bind": "127.0.0.1",
        "hostKey": sshd.public_key(machine.folder / "host_key"), "supervision": "supervisor",
        "root": str(machine.root), "cache": str(machine.cache),
    }  # fmt: skip
    return entry(name, **reached, **changes)
