"""One SSH connection, step by step: meet the machine, prove its host key, log in, run sh scripts.

Nothing is read from the user's own SSH files or agent, and nothing is written to them.
"""

from __future__ import annotations

import logging
import secrets as entropy
import shlex
import socket
from collections.abc import Callable
from contextlib import ExitStack
from typing import Self

import paramiko

from images.remote.errors import AuthenticationFailed, HostKeyChanged, Unreachable
from images.remote.exchange import Exchange, Result
from images.remote.host import Way
from images.remote.keys import fingerprint, parse_private_key, public_blob
from images.remote.tunnel import Tunnel
from images.remote.waiting import Waiting

CONNECT_TIMEOUT_S = 10.0
LOGIN_TIMEOUT_S = 30.0
"""PAM and a reverse look-up of our address may take longer than the key exchange, above all at a first boot."""
KEEPALIVE_S = 15
"""A connection that is silently gone is noticed within a few of these."""
KEY_TYPES = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}
"""An RSA key signs by SHA-2 only (RFC 8332); every other key is asked for by its own name."""

_LOG = "crossover.ssh"
_BROKEN = (OSError, EOFError, ValueError, paramiko.SSHException)

logging.getLogger(_LOG).addHandler(logging.NullHandler())  # paramiko would print tracebacks of its threads


class Session:
    """A machine whose key exchange is done. Use it as a context manager; nothing of the user's is sent before
    `log_in`."""

    def __init__(self, way: Way, transport: paramiko.Transport, shown: bytes, tunnel: Tunnel | None = None) -> None:
        self.way = way
        self._transport = transport
        self._shown = shown
        self._tunnel = tunnel

    @classmethod
    def meet(
        cls,
        way: Way,
        *,
        expecting: str = "",
        alone: bool = False,
        timeout_s: float = CONNECT_TIMEOUT_S,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Self:
        """Connects, through the way's tunnel if it has one, and exchanges keys. `expecting` is the pinned host key;
        `alone` asks for its type and no other, for a machine that boots may not have it yet; `cancelled` ends the wait
        for a tunnel. Raises Unreachable, Cancelled."""
        with ExitStack() as undone:
            tunnel = undone.enter_context(Tunnel.open(way.tunnel, cancelled=cancelled)) if way.tunnel else None
            try:
                sock = tunnel.socket if tunnel else socket.create_connection((way.address, way.port), timeout_s)
                undone.callback(sock.close)
                transport = paramiko.Transport(sock)
                undone.callback(transport.close)
                transport.set_log_channel(_LOG)
                transport.banner_timeout, transport.auth_timeout = timeout_s, LOGIN_TIMEOUT_S
                _ask_for(transport, expecting, alone)
                transport.start_client(timeout=timeout_s)
                # paramiko 5.1 returns from start_client at its time-out as if keys were exchanged, and raises here.
                shown = transport.get_remote_server_key().asbytes()
            except _BROKEN as e:
                raise Unreachable(f"{way} does not answer SSH: {str(e) or type(e).__name__}{_words(tunnel)}") from e
            undone.pop_all()
        return cls(way, transport, shown, tunnel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection; what it started detached lives on."""
        if self._tunnel is not None:
            self._tunnel.close()  # first: at the end of its input it would end without a word to AWS
        self._transport.close()

    def shows(self, host_key: str) -> bool:
        """Whether the machine owns the key of the line "ssh-ed25519 AAAA…". Raises ValueError for what is no key."""
        return self._shown == public_blob(host_key)

    def prove(self, host_key: str, whose: str, remedy: str) -> None:
        """Raises HostKeyChanged, in which `remedy` says what to do, unless the machine owns `host_key`."""
        try:
            if self.shows(host_key):
                return
        except ValueError as e:
            raise HostKeyChanged(f"{whose} has the host key {host_key!r} pinned, which is none") from e
        expected, shown = fingerprint(public_blob(host_key)), fingerprint(self._shown)
        raise HostKeyChanged(
            f"the host key of {whose} changed: expected {expected}, got {shown}. Nothing was sent. Either the machine "
            f"was reinstalled, or another one has its address, or someone stands in between. {remedy}"
        )

    def log_in(self, user: str, private_key: str, certificate: str = "") -> None:
        """By an OpenSSH key without a passphrase (`parse_private_key`); once is enough. Raises AuthenticationFailed,
        Unreachable."""
        if self._transport.is_authenticated():
            return
        key = parse_private_key(private_key, certificate)
        try:
            self._transport.auth_publickey(user, key)
        except paramiko.AuthenticationException as e:
            raise AuthenticationFailed(
                f"{user}@{self.way} refuses the key {fingerprint(key.asbytes())}: it is not among its authorized keys"
            ) from e
        except _BROKEN as e:
            raise self._broken("at the login", e) from e
        self._transport.set_keepalive(KEEPALIVE_S)

    def run(
        self,
        script: str,
        *args: str,
        watch: Waiting,
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
            return Exchange(channel, begin, stdin, on_line).finish(watch, step)
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
        said = f"{str(e) or type(e).__name__}{_words(self._tunnel)}"
        return Unreachable(f"the connection to {self.way} broke {when}: {said}")


def _ask_for(transport: paramiko.Transport, host_key: str, alone: bool) -> None:
    """A server has keys of several types: ours is asked for first, the others so that what is shown can be named."""
    kind = (host_key or "ssh-ed25519").split()[0]
    options = transport.get_security_options()
    ours = KEY_TYPES.get(kind, (kind,))
    options.key_types = ours if alone else (*ours, *(k for k in options.key_types if k not in ours))


def _words(tunnel: Tunnel | None) -> str:
    """For the end of a message."""
    return "" if tunnel is None or not tunnel.last_words else f" ({tunnel.last_words})"
