"""This computer stands still now and then, as a virtual machine does whose host is busy: a test that depends on time by
chance fails beside it. By hand, as root: `python -m tests.support.stalls 600 &`, then the tests."""

from __future__ import annotations

import os
import random
import sys
import time

PAUSE_S, STALL_S = (3.0, 9.0), (0.2, 1.5)
"""From and to; another draw each time."""
PRIORITY = 60
"""Of real time: nothing else runs on that core meanwhile."""


def stand_still(core: int, end: float, seed: int) -> None:
    """Takes the core from all others again and again, until `end` of the monotonic clock."""
    os.sched_setaffinity(0, {core})
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    draw = random.Random(seed)  # the same for each core: they stand still together
    while time.monotonic() < end:
        time.sleep(draw.uniform(*PAUSE_S))
        until = time.monotonic() + draw.uniform(*STALL_S)
        while time.monotonic() < until:
            pass


def main(seconds: float) -> None:
    end, seed = time.monotonic() + seconds, random.SystemRandom().getrandbits(32)
    print(f"seed {seed}", flush=True)
    children = []
    for core in sorted(os.sched_getaffinity(0)):
        child = os.fork()
        if child == 0:
            stand_still(core, end, seed)
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)


if __name__ == "__main__":
    main(float(sys.argv[1]))
