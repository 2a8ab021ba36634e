"""Claims on machines that are owned, one file each; and the stack's key brought onto a machine that was claimed."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from images.remote.errors import AuthenticationFailed, DeadlineExceeded, Unreachable
from images.remote.host import Way
from images.remote.keys import parse_private_key
from images.remote.session import Session
from images.remote.waiting import Waiting
from providers.clouds.existing.config import OwnedMachine
from providers.errors import InvalidRequest, NotFound, Unauthorized, Unavailable

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

    Raises Unavailable where it does not answer, HostKeyChanged, Unauthorized where it refuses the identity.
    """
    if machine.identity_file is None:
        return
    identity, certificate = _identity(machine, machine.identity_file.expanduser())
    line = f"{' '.join(public_key.split()[:2])} {comment}\n"
    way = Way(machine.address, machine.ssh_port)
    where = f"{machine.ssh_user}@{way}"
    try:
        with Session.meet(way, expecting=machine.host_key, alone=True, timeout_s=SSH_TIMEOUT_S) as session:
            remedy = "If the machine was reinstalled, change its hostKey"
            session.prove(machine.host_key, f"existing machine {machine.id} at {way}", remedy)
            session.log_in(machine.ssh_user, identity, certificate)
            watch, step = Waiting(SSH_TIMEOUT_S), "adding the stack's key"
            done = session.run(AUTHORIZE, watch=watch, step=step, stdin=line.encode())
    except AuthenticationFailed:
        raise Unauthorized(
            f"existing: {where} refuses identityFile {machine.identity_file}: add its public key to that user's "
            "authorized_keys"
        ) from None
    except (Unreachable, DeadlineExceeded) as e:
        raise Unavailable(str(e)) from e
    if done.status != 0:
        said = " ".join(done.stderr.split())[:2000]
        raise Unavailable(f"{where}: the stack's key could not be added to authorized_keys: {said}")


def _identity(machine: OwnedMachine, path: Path) -> tuple[str, str]:
    """The private key, and its certificate where one lies beside it. Raises Unauthorized where it cannot be used."""
    beside = path.with_name(f"{path.name}-cert.pub")
    try:
        identity, certificate = path.read_text(), beside.read_text() if beside.exists() else ""
        parse_private_key(identity, certificate)
    except (OSError, ValueError, AuthenticationFailed) as e:
        raise Unauthorized(
            f"existing: identityFile of {machine.id} cannot be used: {machine.identity_file}: {e}"
        ) from None
    return identity, certificate
