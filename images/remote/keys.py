"""SSH keys as texts, and how they are told to a person."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io

import paramiko

from images.remote.errors import AuthenticationFailed


def fingerprint(key: bytes) -> str:
    """SHA256:… as ssh-keygen -l prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def public_blob(public_key: str) -> bytes:
    """The key of a line "ssh-ed25519 AAAA…", as it travels. Raises ValueError for what is none."""
    try:
        return base64.b64decode(public_key.split()[1], validate=True)
    except (IndexError, binascii.Error) as e:
        raise ValueError(f"{public_key!r} is no public key") from e


def parse_private_key(text: str, certificate: str = "") -> paramiko.PKey:
    """A private key from memory, without a passphrase: Ed25519, ECDSA or RSA. `certificate` is what OpenSSH keeps in
    -cert.pub beside it. Raises AuthenticationFailed, without a word of the key."""
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        try:
            key: paramiko.PKey = kind.from_private_key(io.StringIO(text))
        except (paramiko.SSHException, ValueError, IndexError, UnicodeDecodeError):
            continue
        if certificate:
            key.load_certificate(certificate)
        return key
    raise AuthenticationFailed("the private SSH key cannot be read: it is no OpenSSH key, or it has a passphrase")
