"""Marks tests by the folder they are in, so that `-m "not engine and not e2e"` is the quick run."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

# A shell starts what it puts in the background with SIGINT ignored, and so would every process that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

MARKED = ("engine", "e2e")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test in tests/engine/ is marked `engine`, one in tests/e2e/ `e2e`."""
    for item in items:
        for name in MARKED:
            if name in Path(item.path).parts:
                item.add_marker(name)
