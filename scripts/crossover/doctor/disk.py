"""Whether there is room for the state of the next operation."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from providers.preflight import Check, Grade

LEAST_FREE_MIB = 200
"""As scripts/pulumi demands it: an engine whose disk fills up leaves a state in pieces."""


def disk(state: Path) -> Iterator[Check]:
    """The folder of the state and that of temporary files, once where they share a disk."""
    least = int(os.environ.get("CROSSOVER_LEAST_FREE_MIB") or LEAST_FREE_MIB)
    seen: set[int] = set()
    for folder in (state, Path(tempfile.gettempdir())):
        if not folder.is_dir() or folder.stat().st_dev in seen:
            continue
        seen.add(folder.stat().st_dev)
        free = shutil.disk_usage(folder).free // 2**20
        if free < least:
            remedy = "make room: nothing that writes the state begins below that"
            yield Check("disk", Grade.FAIL, f"{folder} has {free} MiB free; {least} are needed", remedy)
        else:
            yield Check("disk", Grade.OK, f"{folder} has {free} MiB free")
