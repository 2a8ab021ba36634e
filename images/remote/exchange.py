"""A running script: its input is fed, and what it says is taken, until it ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import paramiko

from images.remote.waiting import Waiting

PAUSE_S = 0.01
SILENT_LOOKS = 100
"""So often is output looked for after a script's end. They are counted in looks: a computer that stands still would use
up seconds without one look."""


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


class Exchange:
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

    def finish(self, watch: Waiting, step: str) -> Result:
        """What the script left behind. Raises what `watch.check` does; OSError or EOFError if the connection breaks."""
        silent = 0
        try:
            while True:
                watch.check(step)
                # Asked before the look: output, status and end may all come between a look and a question after it.
                ended, whole = self._channel.exit_status_ready(), self._channel.eof_received
                moved = self._feed() | self._drain()
                if ended and not moved:
                    # Output may still follow the status. What the script left running may keep it open for ever.
                    silent += 1
                    if whole or silent > SILENT_LOOKS:
                        break
                if not moved:
                    time.sleep(PAUSE_S)
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
