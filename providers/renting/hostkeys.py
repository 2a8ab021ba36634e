"""SSH host keys that can be made again at any time from the stack's own key, so that no lost answer loses a machine.

A cloud that does not report its machines' host keys is given one at the launch, through cloud-init or a container's
environment, which the vendor and whatever runs on the machine may read: it is good for one first contact. There it is
replaced by a second one, which travels over SSH alone. Both are derived (RFC 5869) from the private SSH key that the
state holds and the machine's name: a plugin that died in between knows them again.
"""

from __future__ import annotations

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from providers.base import HostKey


def one_use(ssh_private_key: str, machine_name: str) -> HostKey:
    """What the machine is launched with."""
    return _derived(ssh_private_key, f"crossover one-use host key\0{machine_name}")


def durable(ssh_private_key: str, machine_name: str) -> HostKey:
    """What the machine has after first contact."""
    return _derived(ssh_private_key, f"crossover durable host key\0{machine_name}")


def _derived(secret: str, purpose: str) -> HostKey:
    seed = HKDF(hashes.SHA256(), 32, salt=None, info=purpose.encode()).derive(secret.encode())
    key = Ed25519PrivateKey.from_private_bytes(seed)
    encoding = serialization.Encoding
    private = key.private_bytes(encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption())
    public = key.public_key().public_bytes(encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return HostKey(private.decode(), public.decode())
