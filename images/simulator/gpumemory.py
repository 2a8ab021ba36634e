"""The memory of the machine's GPUs, as a file that one engine at a time locks, and the worker that keeps it locked."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys

_TOTAL_GIB = 79.25
_FREE_GIB = 3.41
"""What an engine leaves on a GPU of 80 GB."""


class GpuMemory:
    """Without a file nobody else uses the GPUs."""

    def __init__(self, file: str | None, utilization: float) -> None:
        self._file = file
        self._utilization = utilization
        self._descriptor = -1

    def take(self) -> None:
        """ValueError, in vLLM's words, if another process has it. It is given back with the process."""
        if self._file is None:
            return
        self._descriptor = os.open(self._file, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(
                f"Free memory on device cuda:0 ({_FREE_GIB}/{_TOTAL_GIB} GiB) on startup is less than desired GPU "
                f"memory utilization ({self._utilization}, {_TOTAL_GIB * self._utilization:.2f} GiB). Decrease GPU "
                "memory utilization or reduce GPU memory used by other processes."
            ) from error

    def orphan(self, seconds: float) -> int:
        """The id of a worker that outlives its engine, in this process's group, under the name that vLLM's have."""
        worker = subprocess.Popen(
            ["VLLM::Worker", "-c", f"import time; time.sleep({seconds})"],
            executable=sys.executable,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=() if self._descriptor < 0 else (self._descriptor,),
        )
        return worker.pid
