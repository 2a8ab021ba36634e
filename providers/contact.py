"""First contact: the proof that a machine is there and is the one that was rented."""

from __future__ import annotations

import base64
import hashlib
import socket

import paramiko

from providers.base import Machine
from providers.errors import CloudError, Unavailable

KEY_TYPES = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}
"""An RSA key signs by SHA-2 only (RFC 8332); every other key is asked for by its own name."""


class WrongHostKey(CloudError):
    """Something answers, and it is not the machine that was rented."""


def answers_ssh(machine: Machine, timeout_s: float = 5.0) -> None:
    """Completes an SSH key exchange with the machine, without logging in.

    Returns if it proved to own its host key. Raises Unavailable while nothing answers, WrongHostKey where another
    key is shown.
    """
    if machine.address is None or "ssh" not in machine.ports:
        raise Unavailable(f"machine {machine.id} has no address yet")
    try:
        kind, encoded = machine.host_key.split()[:2]
        expected = base64.b64decode(encoded, validate=True)
    except ValueError:
        raise WrongHostKey(f"machine {machine.id} reports the host key {machine.host_key!r}, which is none") from None
    try:
        with socket.create_connection((machine.address, machine.ports["ssh"]), timeout_s) as sock:
            transport = paramiko.Transport(sock)
            # Ask for the pinned key's type only: a server offers several, and the first it prefers need not be ours.
            transport.get_security_options().key_types = KEY_TYPES.get(kind, (kind,))
            try:
                transport.start_client(timeout=timeout_s)
                shown = transport.get_remote_server_key()
            finally:
                transport.close()
    except (OSError, EOFError, ValueError, paramiko.SSHException) as e:
        raise Unavailable(f"{machine.address}:{machine.ports['ssh']} does not answer SSH: {e}") from e
    if shown.asbytes() != expected:
        raise WrongHostKey(
            f"the host key of machine {machine.id} at {machine.address}:{machine.ports['ssh']} changed: expected "
            f"{fingerprint(expected)}, got {fingerprint(shown.asbytes())}. Either the machine was reinstalled, or "
            "someone stands in between. If you know why, run `pulumi refresh`; else end the machine"
        )


def fingerprint(key: bytes) -> str:
    """SHA256:… as ssh-keygen -l prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")
