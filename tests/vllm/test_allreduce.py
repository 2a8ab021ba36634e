"""The program that measures an all-reduce, with the torch of a real vLLM: on processors, for want of GPUs."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from images.gpu.acceptance.allreduce import measuring
from tests.vllm.real import needs_it, program

AGENT = Path(measuring.__file__).with_name("agent.py")
SIZE_BYTES = 1 << 20


def run(*arguments: str) -> dict[str, object]:
    vllm, _ = program()
    python = Path(vllm).with_name("python")
    said = subprocess.run(
        [str(python), "-I", str(AGENT), *arguments], capture_output=True, text=True, timeout=300, check=True
    )
    answer: dict[str, object] = json.loads(said.stdout.splitlines()[-1])
    return answer


@needs_it
def test_two_processes_add_up_what_they_hold() -> None:
    answer = run("2", str(SIZE_BYTES), "3", "gloo")
    assert answer["bytes"] == SIZE_BYTES
    assert float(str(answer["seconds"])) > 0


@needs_it
def test_one_that_cannot_says_why() -> None:
    """No GPU is here."""
    answer = run("2", str(SIZE_BYTES), "3", "nccl")
    assert str(answer["wrong"]).startswith("GPU 0: ")
