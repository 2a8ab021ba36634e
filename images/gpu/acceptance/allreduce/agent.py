"""Runs on a machine, by the Python of its engine, which brings torch: measures an all-reduce over its GPUs.

Arguments: the number of processes, the buffer's bytes, the rounds that count, "nccl" or "gloo" (processors, for tests).
Says one JSON line: {"bytes": …, "seconds": …} (of one round, the mean), {"absent": "why nothing could be measured"} or
{"wrong": "the last line of what failed"}.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from typing import Any

WARM_UP = 5
"""Rounds before those that count: NCCL opens its channels in the first."""


def main() -> int:
    """Starts a process a GPU, and says what the first of them measured."""
    count, backend = sys.argv[1], sys.argv[4]
    if importlib.util.find_spec("torch") is None:
        print(json.dumps({"absent": f"{sys.executable} has no torch"}))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        ranks = [
            subprocess.Popen(
                [sys.executable, "-I", __file__, "rank", str(rank), count, *sys.argv[2:4], backend, f"{folder}/meet"],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for rank in range(int(count))
        ]
        said = [process.communicate() for process in ranks]
    failed = [(rank, errors) for rank, (_, errors) in enumerate(said) if ranks[rank].returncode]
    if failed:
        rank, errors = failed[0]
        lines = [line for line in errors.splitlines() if line.strip()] or ["it says nothing"]
        print(json.dumps({"wrong": f"GPU {rank}: {lines[-1]}"}))
    else:
        print(said[0][0].strip())
    return 0


def measure(rank: int, count: int, size_bytes: int, rounds: int, backend: str, meet: str) -> None:
    """One process: what it holds is added to what the others hold, again and again."""
    # Here alone: its import takes seconds, and the process that starts the others has no use for it.
    torch, together = import_module("torch"), import_module("torch.distributed")
    device = torch.device("cuda", rank) if backend == "nccl" else torch.device("cpu")
    if backend == "nccl":
        torch.cuda.set_device(device)
    together.init_process_group(backend, init_method=f"file://{meet}", rank=rank, world_size=count)
    held = torch.ones(size_bytes // 4, dtype=torch.float32, device=device)
    began = 0.0
    for round_ in range(WARM_UP + rounds):
        if round_ == WARM_UP:
            _finish(torch, together, backend)
            began = time.monotonic()
        together.all_reduce(held)
        held /= count
    _finish(torch, together, backend)
    seconds = (time.monotonic() - began) / rounds
    if not bool((held == 1).all()):
        raise ArithmeticError("the sum of ones over all GPUs is not their number")
    together.destroy_process_group()
    if rank == 0:
        print(json.dumps({"bytes": held.numel() * 4, "seconds": seconds}))


def _finish(torch: Any, together: Any, backend: str) -> None:
    """Until every process is here, and nothing is under way on its GPU."""
    if backend == "nccl":
        torch.cuda.synchronize()
    together.barrier()


if __name__ == "__main__":
    if sys.argv[1] == "rank":
        rank, count, size_bytes, rounds, backend, meet = sys.argv[2:]
        os.environ.setdefault("NCCL_DEBUG", "WARN")
        measure(int(rank), int(count), int(size_bytes), int(rounds), backend, meet)
    else:
        sys.exit(main())
