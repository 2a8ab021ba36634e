"""Claims on machines that are owned, one file each; and the stack's key brought onto a machine that was claimed."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import re
import secrets
import shlex
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import paramiko

from providers.clouds.existing.config import OwnedMachine
from providers.errors import InvalidRequest, NotFound, Unauthorized, Unavailable
from providers.renting.contact import KEY_TYPES, WrongHostKey, fingerprint

CLAIM_ID = re.compile(r"(?P<machine>[a-z0-9-]+)-(?P<token>[0-9a-f]{8})")
SSH_TIMEOUT_S = 10.0

AUTHORIZE = r"""set -e
umask 077
mkdir -p ~/.ssh
file=~/.ssh/authorized_keys
touch "$file"
{ grep -vE ' crossover(:[^ ]*)?$' "$file" || [ $? = 1 ]; cat; } >"$file.crossover"
mv "$file.crossover" "$file"
"""
"""Puts the line on standard input among the keys that may log in; keys of earlier claims go, all others stay."""


class Claims:
    """A folder with one file for each machine that is claimed. Raises Unavailable where it cannot be read."""

    def __init__(self, state: Path) -> None:
        self.state = state

    def taken(self) -> dict[str, dict[str, Any]]:
        """Machine → its claim."""
        found = {}
        for path in sorted(self.state.glob("*.json")):
            with contextlib.suppress(FileNotFoundError):  # released meanwhile
                found[path.stem] = self._read(path)
        return found

    def make(self, machine: str, body: Mapping[str, Any], prepare: Callable[[], None]) -> str | None:
        """Claims the machine and returns the claim's id; None if it is claimed. `prepare` runs before the claim is
        seen by anyone and is never run by two at once; what it raises leaves no claim."""
        path = self.state / f"{machine}.json"
        with self._turn(machine):
            if path.exists():
                return None
            prepare()
            claim_id = f"{machine}-{secrets.token_hex(4)}"
            draft = path.with_suffix(f".{claim_id}")
            draft.touch(mode=0o600)
            try:
                draft.write_text(json.dumps({**body, "id": claim_id}, indent=2) + "\n")
                # link(2) fails where the name exists, like O_EXCL; and the claim appears whole, unlike with O_EXCL.
                os.link(draft, path)
            except FileExistsError:  # made by someone whom the lock does not bind, such as another computer over NFS
                return None
            finally:
                draft.unlink()
            return claim_id

    def get(self, claim_id: str) -> dict[str, Any]:
        """Raises NotFound where the machine is free, or was claimed anew; Unavailable where the folder is missing."""
        if not self.state.is_dir():
            raise Unavailable(f"{self.state}, which holds the claims on machines of `existing`, is not there")
        try:
            body = self._read(self._path(claim_id))
        except FileNotFoundError:
            body = {}
        if body.get("id") != claim_id:
            raise NotFound(f"existing has no claim {claim_id}")
        return body

    def release(self, claim_id: str) -> None:
        """Frees the machine; a claim that is gone is fine."""
        path = self._path(claim_id)
        with self._turn(path.stem), contextlib.suppress(NotFound):
            self.get(claim_id)
            path.unlink()

    def _path(self, claim_id: str) -> Path:
        match = CLAIM_ID.fullmatch(claim_id)
        if match is None:
            raise InvalidRequest(f"{claim_id!r} is no claim on an existing machine (they look like dgx-1-1a2b3c4d)")
        return self.state / f"{match['machine']}.json"

    def _read(self, path: Path) -> dict[str, Any]:
        try:
            body: dict[str, Any] = json.loads(path.read_text())
        except FileNotFoundError:
            raise
        except (OSError, ValueError) as e:
            raise Unavailable(f"cannot read the claim {path}: {e}") from e
        return body

    @contextlib.contextmanager
    def _turn(self, machine: str) -> Iterator[None]:
        self.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self.state / f".{machine}.lock").open("w") as f:
            fcntl.flock(f, fcntl.LOCK_EX)
            yield


def authorize(machine: OwnedMachine, public_key: str, comment: str) -> None:
    """Lets `public_key` log in from now on, by the machine's `identity_file`; without one nothing is done.

    Raises Unavailable where it does not answer, WrongHostKey, Unauthorized where it refuses the identity.
    """
    if machine.identity_file is None:
        return
    where = f"{machine.ssh_user}@{machine.address}:{machine.ssh_port}"
    line = f"{' '.join(public_key.split()[:2])} {comment}\n"
    try:
        identity = paramiko.PKey.from_path(machine.identity_file.expanduser())
    except (OSError, ValueError, paramiko.SSHException, paramiko.pkey.UnknownKeyType) as e:
        raise Unauthorized(
            f"existing: identityFile of {machine.id} cannot be used: {machine.identity_file}: {e}"
        ) from None
    try:
        with socket.create_connection((machine.address, machine.ssh_port), SSH_TIMEOUT_S) as sock:
            transport = paramiko.Transport(sock)
            try:
                _log_in(transport, machine, identity)
                status, said = _run(transport, line)
            finally:
                transport.close()
    except paramiko.AuthenticationException:
        raise Unauthorized(
            f"existing: {where} refuses identityFile {machine.identity_file}: add its public key to that user's "
            "authorized_keys"
        ) from None
    except (OSError, EOFError, paramiko.SSHException) as e:
        raise Unavailable(f"{where} does not answer SSH: {e or type(e).__name__}") from e
    if status != 0:
        raise Unavailable(f"{where}: the stack's key could not be added to authorized_keys: {said}")


def _log_in(transport: paramiko.Transport, machine: OwnedMachine, identity: paramiko.PKey) -> None:
    kind, encoded = machine.host_key.split()
    transport.get_security_options().key_types = KEY_TYPES.get(kind, (kind,))
    transport.start_client(timeout=SSH_TIMEOUT_S)
    shown, expected = transport.get_remote_server_key().asbytes(), base64.b64decode(encoded)
    if shown != expected:
        raise WrongHostKey(
            f"existing: {machine.address}:{machine.ssh_port} shows the host key {fingerprint(shown)}, and hostKey of "
            f"{machine.id} is {fingerprint(expected)}: nothing was sent. If the machine was reinstalled, change hostKey"
        )
    transport.auth_publickey(machine.ssh_user, identity)


def _run(transport: paramiko.Transport, line: str) -> tuple[int, str]:
    channel = transport.open_session(timeout=SSH_TIMEOUT_S)
    channel.settimeout(SSH_TIMEOUT_S)
    channel.exec_command(f"/bin/sh -c {shlex.quote(AUTHORIZE)}")
    channel.sendall(line.encode())
    channel.shutdown_write()
    said = channel.makefile_stderr("rb").read(2000).decode(errors="replace").strip()
    return channel.recv_exit_status(), " ".join(said.split())
