"""A command as SSH's connection: what OpenSSH calls ProxyCommand.

Not paramiko.ProxyCommand (5.1): where the command ends, its `recv` spins for ever; `send` has no limit, `close` leaves
a zombie and what the command has started, and nobody reads stderr, which can fill up and block. Here the command has
one end of a socket pair as its stdin and stdout, so that time-outs, EOF and closing are the kernel's.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import PurePath
from typing import IO

from images.remote.errors import DeadlineExceeded, Unreachable
from images.remote.waiting import Waiting

START_TIMEOUT_S = 30.0
"""From the command's start to the first line of the machine's sshd. AWS' Session Manager takes seconds."""
END_S = 1.0
"""How long a command may take to end after each of the two ways of asking for it."""
_POLL_S = 0.1
_SHOWN_LINES, _SHOWN_BYTES = 5, 400
_SSH = b"SSH-"


class Tunnel:
    """A running command, and the `socket` at whose other end the machine's sshd is. Use it as a context manager."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], sock: socket.socket, said: IO[bytes]) -> None:
        self.socket = sock
        self._name = name
        self._process = process
        self._said = said
        self._prelude: list[bytes] = []

    @classmethod
    def open(
        cls,
        arguments: Sequence[str],
        *,
        cancelled: Callable[[], bool] = lambda: False,
        timeout_s: float = START_TIMEOUT_S,
    ) -> Tunnel:
        """Starts the program (no shell) and returns when sshd's first line is there to be read.

        Raises Unreachable with the last lines of what the command said, Cancelled.
        """
        name = PurePath(arguments[0]).name
        said = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the tunnel); an unread pipe would fill up
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                # A session of its own: Ctrl-C at the terminal is the caller's to handle, and all of it can be ended.
                process = subprocess.Popen(
                    arguments, stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=said, start_new_session=True
                )
            except OSError as e:
                ours.close()
                said.close()
                raise Unreachable(f"{name}, through which SSH goes, cannot be started: {e.strerror}") from e
        tunnel = cls(name, process, ours, said)
        try:
            tunnel._skip_prelude(Waiting(timeout_s, cancelled))
        except BaseException:
            tunnel.close()
            raise
        return tunnel

    def __enter__(self) -> Tunnel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the command, with all that it started; it is gone afterwards. A second call does nothing."""
        if not self._said.closed:
            # Asked by SIGINT, session-manager-plugin ends its session at AWS, and `aws` waits for it; EOF ends both.
            self._signal(signal.SIGINT)
            self._wait()
            self.socket.close()
            self._wait()
            self._signal(signal.SIGKILL)
            self._process.wait()
            self._said.close()

    @property
    def last_words(self) -> str:
        """The end of what the command said, on one line; empty if it said nothing."""
        if self._said.closed:
            return ""
        # Not by seeking: the command writes at the same offset.
        descriptor = self._said.fileno()
        said = os.pread(descriptor, 4096, max(0, os.fstat(descriptor).st_size - 4096))
        lines = (*self._prelude, *(line[-_SHOWN_BYTES:] for line in said.splitlines()))
        shown = ["".join(filter(str.isprintable, line.decode(errors="replace"))).strip() for line in lines]
        return " | ".join([line for line in shown if line][-_SHOWN_LINES:])

    def _skip_prelude(self, watch: Waiting) -> None:
        """Takes what stands before sshd's first line (RFC 4253, 4.2), as session-manager-plugin greets its user there.
        paramiko would wait for each line but the first only 2 s."""
        self.socket.settimeout(_POLL_S)
        line = b""
        while True:
            try:
                watch.check(f"waiting for {self._name}")
            except DeadlineExceeded:
                raise self._failure(f"did not reach the machine within {watch.deadline_s:g} s") from None
            try:
                seen = self.socket.recv(4096, socket.MSG_PEEK)
            except TimeoutError:
                continue
            except OSError:
                seen = b""
            if not seen:
                self._wait()
                raise self._failure(f"ended with status {self._process.poll()}")
            if not line and seen.startswith(_SSH):
                return
            if not line and _SSH.startswith(seen):
                time.sleep(_POLL_S)
                continue
            part, newline, _ = seen.partition(b"\n")
            self.socket.recv(len(part) + len(newline))
            line = (line + part)[-_SHOWN_BYTES:]
            if newline:
                self._prelude = [*self._prelude, line][-_SHOWN_LINES:]
                line = b""

    def _failure(self, what: str) -> Unreachable:
        return Unreachable(f"{self._name}, through which SSH goes, {what}: {self.last_words or 'it said nothing'}")

    def _signal(self, number: signal.Signals) -> None:
        if self._process.poll() is None:  # until it is asked for its status, no other group can have its number
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def _wait(self) -> None:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(END_S)
