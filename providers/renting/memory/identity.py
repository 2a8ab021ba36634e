"""The copy of the stack's identity: whose machines are, where the state that has it cannot be read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from os import environ
from pathlib import Path

from providers.renting.memory.place import stack_folder, write_private

FILE = "stack-ids"
IDENTITY = re.compile(r"[0-9a-f]{4,64}")


def keep(project: str, stack: str, stack_id: str) -> None:
    """Adds it to those of before, which stay: a machine may outlive the credentials that it was launched under.
    Raises OSError."""
    known = kept(project, stack)
    if stack_id not in known:
        write_private(_file(project, stack, environ), "".join(f"{one}\n" for one in (*known, stack_id)))


def kept(project: str, stack: str, environment: Mapping[str, str] = environ) -> tuple[str, ...]:
    """What the stack has been on this computer, the newest last; nothing where that cannot be read."""
    try:
        lines = _file(project, stack, environment).read_text("utf-8").split()
    except (OSError, UnicodeDecodeError, RuntimeError):
        return ()
    return tuple(line for line in lines if IDENTITY.fullmatch(line))


def _file(project: str, stack: str, environment: Mapping[str, str]) -> Path:
    return stack_folder(project, stack, environment) / FILE
