"""What is told to a person: why the files are not there, and how far they are."""

from __future__ import annotations

import os
import sys
import threading

_ONE_AT_A_TIME = threading.Lock()


class Refused(Exception):
    """The files cannot be brought. The message says what, where and what to do; `kind` is for programs:

    token (none, or a bad one), gate (not on the list), missing (repository, revision or folder), network, busy (it
    failed again and again), wrong (bytes that are not those of the list), full (no room), record (nothing says what
    they must be), permission, source (it does not speak as it should), deadline, absent (only looked for, and not
    there).
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def say(line: str) -> None:
    """One line for the person who waits. Where nobody listens any more, the connection is lost: this process ends,
    and the next one goes on where it was."""
    with _ONE_AT_A_TIME:
        try:
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
        except OSError:
            os._exit(3)


def gib(count: float) -> str:
    """Bytes, for people."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 / 10 else f"{count / 2**20:.1f} MiB"
