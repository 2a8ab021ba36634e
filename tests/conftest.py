"""Marks tests by folder, so that `-m "not engine and not e2e"` is the quick run, and begins the slow files first."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A shell starts what it puts in the background with SIGINT ignored, and so would every process that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples each time, however slow the computer is: what a run finds is then of the change. The profile
# `explore` draws others.
settings.register_profile(
    "explore", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
settings.register_profile("steady", settings.get_profile("explore"), derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))

MARKED = ("engine", "e2e")
LONGEST = ("engine/test_aws.py", "e2e/test_clouds.py", "e2e/test_aws.py", "engine/test_clouds.py")
"""Files of two to seven minutes: begun last, one would keep a worker busy while the other has nothing left."""
WHOLE_STACKS_S = 1200
"""For a test of those, in place of pytest's 600 s: some bring a stack up five times."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test in tests/engine/ is marked `engine`, one in tests/e2e/ `e2e`. With xdist files are begun in this order."""
    items.sort(key=lambda item: LONGEST.index(name) if (name := "/".join(item.path.parts[-2:])) in LONGEST else 99)
    for item in items:
        for name in MARKED:
            if name in Path(item.path).parts:
                item.add_marker(name)
                if item.get_closest_marker("timeout") is None:
                    item.add_marker(pytest.mark.timeout(WHOLE_STACKS_S))


@pytest.fixture(autouse=True, scope="session")
def state_folder_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What a stack keeps on this computer beside a remote state is no test's to read, or to leave behind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield
