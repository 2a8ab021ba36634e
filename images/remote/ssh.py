"""SSH to one machine, whose host key is pinned: runs sh scripts there, and starts programs that live on.

Nothing is read from the user's own SSH files or agent, and nothing is written to them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import logging
import secrets as entropy
import shlex
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType

import paramiko

from images.remote.errors import AuthenticationFailed, HostKeyChanged, Unreachable
from images.remote.host import Placement
from images.remote.tunnel import Tunnel
from images.remote.waiting import Watch

CONNECT_TIMEOUT_S = 10.0
KEEPALIVE_S = 15
"""A connection that is silently gone is noticed within a few of these."""

_LOG = "crossover.ssh"

logging.getLogger(_LOG).addHandler(logging.NullHandler())  # paramiko would print tracebacks of its threads


@dataclass(frozen=True, slots=True)
class Result:
    """What a script left behind. 126 and 127 are the shell's own; -1 means that it ended without a status."""

    status: int
    stdout: str
    stderr: str

    @property
    def tail(self) -> str:
        """The last lines of what it said, for messages."""
        lines = [line for line in (self.stdout + "\n" + self.stderr).splitlines() if line.strip()]
        return "\n".join(lines[-15:])


class Connection:
    """One SSH connection. Use it as a context manager."""

    def __init__(self, placement: Placement, transport: paramiko.Transport, tunnel: Tunnel | None = None) -> None:
        self.placement = placement
        self._transport = transport
        self._tunnel = tunnel

    @classmethod
    def open(
        cls,
        placement: Placement,
        private_key: str,
        *,
        timeout_s: float = CONNECT_TIMEOUT_S,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Connection:
        """Connects, through the placement's tunnel if it has one, proves the host, logs in. `private_key` is the text
        of an OpenSSH key without a passphrase; `cancelled` ends the wait for a tunnel.

        Raises Unreachable, HostKeyChanged, AuthenticationFailed, Cancelled.
        """
        key = parse_private_key(private_key)
        with ExitStack() as undone:
            tunnel = None
            if placement.tunnel:
                tunnel = undone.enter_context(Tunnel.open(placement.tunnel, cancelled=cancelled))
            transport = _connect(placement, tunnel, timeout_s)
            undone.callback(transport.close)
            try:
                _prove_host(placement, transport, timeout_s)
                transport.auth_publickey(placement.ssh_user, key)
            except paramiko.AuthenticationException as e:
                raise AuthenticationFailed(
                    f"{placement.where} refuses the key {fingerprint(key.asbytes())}: it is not among its authorized "
                    "keys"
                ) from e
            except (OSError, EOFError, paramiko.SSHException) as e:
                raise Unreachable(
                    f"{placement.where} does not complete the SSH handshake: {e or type(e).__name__}{_words(tunnel)}"
                ) from e
            undone.pop_all()
        transport.set_keepalive(KEEPALIVE_S)
        return cls(placement, transport, tunnel)

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection; what it started detached lives on."""
        if self._tunnel is not None:
            self._tunnel.close()  # first: at the end of its input it would end without a word to AWS
        self._transport.close()

    def run(
        self,
        script: str,
        *args: str,
        watch: Watch,
        step: str,
        stdin: bytes = b"",
        on_line: Callable[[str], None] | None = None,
    ) -> Result:
        """Runs an sh script with `args` as $1… and waits for its end; `on_line` gets its stdout line by line.

        `args` stand in an argument list that everyone on the machine may read: a secret goes through `stdin`.
        Raises Cancelled or DeadlineExceeded (naming `step`) and leaves the script to itself; Unreachable if the
        connection breaks. A failing script is a Result, not an error.
        """
        begin = f"begin-{entropy.token_hex(8)}"
        # A login shell's own start-up files may print: everything before the mark is theirs.
        whole = f'echo {begin}\nPATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"\nexport PATH\n{script}'
        command = f"exec /bin/sh -c {shlex.quote(whole)} crossover {shlex.join(args)}"
        try:
            channel = self._transport.open_session(timeout=CONNECT_TIMEOUT_S)
            channel.exec_command(command)
            return _Exchange(channel, begin, stdin, on_line).finish(watch, step)
        except (OSError, EOFError, paramiko.SSHException) as e:
            raise self._broken(f"while {step}", e) from e

    def start(self, command: str) -> paramiko.Channel:
        """Starts a command that lives until its stdin or the connection ends. Raises Unreachable."""
        try:
            channel = self._transport.open_session(timeout=CONNECT_TIMEOUT_S)
            channel.exec_command(command)
        except (OSError, EOFError, paramiko.SSHException) as e:
            raise self._broken(f"at {command.split()[0]}", e) from e
        return channel

    def _broken(self, when: str, e: Exception) -> Unreachable:
        return Unreachable(f"the connection to {self.placement.where} broke {when}: {e}{_words(self._tunnel)}")


def fingerprint(key: bytes) -> str:
    """SHA256:… as ssh-keygen -l prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def parse_private_key(text: str) -> paramiko.PKey:
    """A private key from memory: Ed25519, ECDSA or RSA. Raises AuthenticationFailed, without a word of the key."""
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        try:
            return kind.from_private_key(io.StringIO(text))
        except (paramiko.SSHException, ValueError, IndexError, UnicodeDecodeError):
            continue
    raise AuthenticationFailed("the private SSH key cannot be read: it is no OpenSSH key, or it has a passphrase")


class _Exchange:
    """Feeds a running script and takes what it says, until it ends."""

    def __init__(
        self, channel: paramiko.Channel, begin: str, stdin: bytes, on_line: Callable[[str], None] | None
    ) -> None:
        self._channel = channel
        self._begin = begin
        self._stdin = memoryview(stdin)
        self._on_line = on_line
        self._out = bytearray()
        self._err = bytearray()
        self._told = -1
        self._stdin_open = True
        channel.setblocking(False)

    def finish(self, watch: Watch, step: str) -> Result:
        ended_at: float | None = None
        try:
            while True:
                watch.check(step)
                moved = self._feed() | self._drain()
                if self._channel.exit_status_ready() and not moved:
                    # Output may still follow the status. What the script left running may keep it open for ever.
                    ended_at = ended_at or time.monotonic()
                    if self._channel.eof_received or time.monotonic() - ended_at > 1:
                        break
                if not moved:
                    time.sleep(0.01)
        finally:
            self._channel.close()
        status = self._channel.recv_exit_status()
        if status == -1 and not self._channel.get_transport().is_active():
            raise EOFError("it was closed")
        return Result(status, self._stdout(), self._err.decode(errors="replace"))

    def _feed(self) -> bool:
        if not self._stdin_open:
            return False
        if not self._stdin:
            self._stdin_open = False
            self._channel.shutdown_write()
            return True
        try:
            sent = self._channel.send(bytes(self._stdin[:32768]))
        except TimeoutError:
            return False
        except OSError:  # the script ended early; its status says why
            self._stdin_open = False
            return False
        self._stdin = self._stdin[sent:]
        return sent > 0

    def _drain(self) -> bool:
        moved = False
        if self._channel.recv_ready():
            self._out += self._channel.recv(65536)
            moved = True
            self._tell()
        if self._channel.recv_stderr_ready():
            self._err += self._channel.recv_stderr(65536)
            moved = True
        return moved

    def _stdout(self) -> str:
        return self._out.decode(errors="replace").partition(self._begin + "\n")[2]

    def _tell(self) -> None:
        if self._on_line is None:
            return
        mark = self._begin.encode() + b"\n"
        if self._told < 0:
            at = self._out.find(mark)
            if at < 0:
                return
            self._told = at + len(mark)
        while (end := self._out.find(b"\n", self._told)) >= 0:
            self._on_line(self._out[self._told : end].decode(errors="replace"))
            self._told = end + 1


def _connect(placement: Placement, tunnel: Tunnel | None, timeout_s: float) -> paramiko.Transport:
    try:
        here = (placement.address, placement.ssh_port)
        transport = paramiko.Transport(socket.create_connection(here, timeout_s) if tunnel is None else tunnel.socket)
    except (OSError, EOFError, paramiko.SSHException) as e:
        raise Unreachable(f"{placement.address}:{placement.ssh_port} does not answer: {e}") from e
    transport.set_log_channel(_LOG)
    transport.banner_timeout = timeout_s
    transport.auth_timeout = timeout_s
    return transport


def _words(tunnel: Tunnel | None) -> str:
    """For the end of a message."""
    return "" if tunnel is None or not tunnel.last_words else f" ({tunnel.last_words})"


def _prove_host(placement: Placement, transport: paramiko.Transport, timeout_s: float) -> None:
    """Completes the key exchange and compares the host's key, before anything of the user is sent."""
    try:
        kind, text = placement.host_key.split()[:2]
        pinned = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error) as e:
        raise HostKeyChanged(f"{placement.where} has no readable host key pinned: nothing can be trusted") from e
    # A server has keys of several types: ours is asked for first, the others so that what is shown can be named.
    options = transport.get_security_options()
    ours = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}.get(kind, (kind,))
    options.key_types = (*ours, *(k for k in options.key_types if k not in ours))
    transport.start_client(timeout=timeout_s)
    shown = transport.get_remote_server_key().asbytes()
    if shown != pinned:
        raise HostKeyChanged(
            f"the host key of {placement.where} changed: pinned {fingerprint(pinned)}, shown {fingerprint(shown)}. "
            "Nothing was sent. Either the machine was reinstalled, or another one has its address, or someone stands "
            "in between. If you know why, run `pulumi refresh`; if not, end the machine"
        )
