"""First contact: the proof that a machine is there and is the one that was rented, and what only it can tell."""

from __future__ import annotations

import base64
import hashlib
import io
import shlex
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace

import paramiko

from providers.base import Machine
from providers.errors import CloudError, Unavailable
from providers.renting import hostkeys
from providers.renting.waiting import Waiting

KEY_TYPES = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}
"""An RSA key signs by SHA-2 only (RFC 8332); every other key is asked for by its own name."""
COMMAND_TIMEOUT_S = 20.0
ANSWER_TIMEOUT_S = 5.0


class WrongHostKey(CloudError):
    """Something answers, and it is not the machine that was rented."""


class NotSettled(CloudError):
    """The machine is the right one and answered; it could not be given its host key, or not be asked."""


Dial = Callable[[Machine, float], AbstractContextManager[socket.socket]]
"""Opens a connection to a machine's SSH, within so many seconds where it is for the caller to say; raises OSError or
CloudError."""
DialFor = Callable[[Waiting], Dial]
"""A dial whose own waits hear of an interruption."""


def direct(machine: Machine, timeout_s: float) -> socket.socket:
    """The dial to a machine whose address answers SSH."""
    return socket.create_connection((machine.address, machine.ports["ssh"]), timeout_s)


def directly(waiting: Waiting) -> Dial:
    """`direct`, which waits no longer than it is told."""
    return direct


def first_contact(machine: Machine, ssh_private_key: str, dial: Dial = direct) -> Machine:
    """The machine with its host key and supervision known, once it has proved to own that key.

    Where the cloud cannot report them, the one-use host key of the launch is replaced by the durable one, and the
    machine is asked for its supervision. Raises what `answers_ssh` raises, and NotSettled.
    """
    if not machine.host_key or machine.loses_disk:
        machine = _keyed(machine, ssh_private_key, dial)
        if machine.supervision:
            return machine
    elif machine.supervision:
        answers_ssh(machine, dial)
        return machine
    with _session(machine, dial) as transport:
        _prove(machine, transport, machine.host_key)
        found = _run(machine, transport, ssh_private_key, "test -d /run/systemd/system && echo systemd || true", b"")
    return replace(machine, supervision=found.strip() or "supervisor")


def identified(machine: Machine, ssh_private_keys: Sequence[str], dial: Dial = direct) -> Machine:
    """A machine of this stack's with its host key, for a caller who has no state of it: what the cloud reports, else
    the durable key of the first of these SSH keys whose machine it proves to be. Unchanged if it proves none."""
    for key in ssh_private_keys:
        known = replace(machine, host_key=machine.host_key or hostkeys.durable(key, machine.name).public)
        with suppress(CloudError):
            answers_ssh(known, dial)
            return known
    return machine


def answers_ssh(machine: Machine, dial: Dial = direct) -> None:
    """Completes an SSH key exchange with the machine, without logging in.

    Returns if it proved to own its host key. Raises Unavailable while nothing answers, WrongHostKey where another
    key is shown.
    """
    with _session(machine, dial) as transport:
        _prove(machine, transport, machine.host_key)


_REPLACE_HOST_KEY = """set -eu
key=/etc/ssh/ssh_host_ed25519_key
[ ! -f /etc/ssh/crossover_host_key ] || key=/etc/ssh/crossover_host_key
umask 077
cat >"$key.new"
ssh-keygen -y -f "$key.new" >"$key.pub.new"
chmod 644 "$key.pub.new"
mv "$key.pub.new" "$key.pub"
mv "$key.new" "$key"
if [ -d /run/systemd/system ]; then
    systemctl reload ssh 2>/dev/null || systemctl reload sshd
else
    kill -HUP "$(cat /run/sshd.pid)"
fi
"""


def _keyed(machine: Machine, ssh_private_key: str, dial: Dial) -> Machine:
    """The machine with the host key that it is known by, or with the durable one, which it is given if it still (or, a
    container after a reset, again) has the one of its launch."""
    durable = hostkeys.durable(ssh_private_key, machine.name)
    settled = replace(machine, host_key=durable.public)
    with _session(settled, dial) as transport:
        first = hostkeys.one_use(ssh_private_key, machine.name).public
        if transport.get_remote_server_key().get_base64() != first.split()[1]:
            known = replace(machine, host_key=machine.host_key or durable.public)
            _prove(known, transport, known.host_key)
            return known
        _run(machine, transport, ssh_private_key, _REPLACE_HOST_KEY, durable.private.encode())
    answers_ssh(settled, dial)  # Unavailable while its sshd reads the key; WrongHostKey would be a lie of the script's
    return settled


@contextmanager
def _session(machine: Machine, dial: Dial) -> Iterator[paramiko.Transport]:
    """An SSH connection whose key exchange is done and that is not logged in. Raises Unavailable, and what the dial
    raises."""
    if machine.address is None or "ssh" not in machine.ports:
        raise Unavailable(f"machine {machine.id} has no address yet")
    kind = (machine.host_key or "ssh-ed25519").split()[0]
    where = f"{machine.address}:{machine.ports['ssh']}"
    try:
        with dial(machine, ANSWER_TIMEOUT_S) as sock:
            transport = paramiko.Transport(sock)
            try:
                # Ask for the pinned key's type only: a server offers several, and its favourite need not be ours.
                transport.get_security_options().key_types = KEY_TYPES.get(kind, (kind,))
                transport.start_client(timeout=ANSWER_TIMEOUT_S)
                yield transport
            finally:
                transport.close()
    except (OSError, EOFError, ValueError, paramiko.SSHException) as e:
        raise Unavailable(f"{where} does not answer SSH: {e or type(e).__name__}") from e


def _prove(machine: Machine, transport: paramiko.Transport, host_key: str) -> None:
    """Raises WrongHostKey unless the other side owns `host_key`."""
    try:
        expected = base64.b64decode(host_key.split()[1], validate=True)
    except (ValueError, IndexError):
        raise WrongHostKey(f"machine {machine.id} reports the host key {host_key!r}, which is none") from None
    shown = transport.get_remote_server_key()
    if shown.asbytes() != expected:
        raise WrongHostKey(
            f"the host key of machine {machine.id} at {machine.address}:{machine.ports['ssh']} changed: expected "
            f"{fingerprint(expected)}, got {fingerprint(shown.asbytes())}. Either the machine was reinstalled, or "
            "someone stands in between. If you know why: `pulumi refresh` where the cloud lists host keys (local, "
            "existing), else raise the node's generation"
        )


def _run(machine: Machine, transport: paramiko.Transport, ssh_private_key: str, script: str, stdin: bytes) -> str:
    """Logs in, unless that was done, and runs the script as root; its standard output. Raises NotSettled."""
    try:
        if not transport.is_authenticated():
            key = paramiko.Ed25519Key.from_private_key(io.StringIO(ssh_private_key))
            transport.auth_publickey(machine.ssh_user, key)
        channel = transport.open_session(timeout=COMMAND_TIMEOUT_S)
        channel.settimeout(COMMAND_TIMEOUT_S)
        as_root = '[ "$(id -u)" = 0 ] && exec sh "$@"; exec sudo -n sh "$@"'
        channel.exec_command(f"set -- -c {shlex.quote(script)}; {as_root}")
        channel.sendall(stdin)
        channel.shutdown_write()
        output = channel.makefile("rb").read().decode(errors="replace")
        problems = channel.makefile_stderr("rb").read().decode(errors="replace")
        status = channel.recv_exit_status()
    except paramiko.AuthenticationException as e:
        raise NotSettled(f"{machine.id} does not let {machine.ssh_user} log in with this stack's SSH key: {e}") from e
    if status != 0:
        raise NotSettled(f"{machine.id} refused its host key (status {status}): {problems.strip()[-300:]}")
    return output


def fingerprint(key: bytes) -> str:
    """SHA256:… as ssh-keygen -l prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")
