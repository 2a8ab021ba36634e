"""Where the real vLLM is: `make test-vllm` makes it and says so.

CROSSOVER_VLLM        the program `vllm` of an environment with vLLM 0.32
CROSSOVER_VLLM_MODEL  a model's folder, small, with 2,048 tokens of context and a vocabulary below 999,999
"""

from __future__ import annotations

import os

import pytest


def program() -> tuple[str, str]:
    """The program and the model; empty where there is none."""
    return os.environ.get("CROSSOVER_VLLM", ""), os.environ.get("CROSSOVER_VLLM_MODEL", "")


needs_it = pytest.mark.real_vllm
"""Deselected where there is none."""
VARIABLES = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1", "PYTHONPATH": ""}
"""Of a small one. The simulator's path is not its own: what lies there has names of its packages."""
