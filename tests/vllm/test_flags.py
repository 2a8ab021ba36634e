"""The flags that settings take, against the parser of a real vLLM."""

from __future__ import annotations

import os
import subprocess
import tomllib
from pathlib import Path

from images.engines.common.flags import flags
from tests.vllm.real import VARIABLES, needs_it, program

READER = Path(__file__).with_name("flag_types.py")


@needs_it
def test_flags_and_types_are_those_of_its_command_line(tmp_path: Path) -> None:
    """One that is new, gone, or takes another type is shown by its name."""
    vllm, _ = program()
    python = Path(vllm).with_name("python")
    environment = {**os.environ, **VARIABLES}
    said = subprocess.run([python, READER], capture_output=True, text=True, timeout=300, check=True, env=environment)
    assert tomllib.loads(said.stdout) == flags()
