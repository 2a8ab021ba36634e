"""What stand-ins of eight A100 answer to the examination of GPUs (images/gpu/acceptance/examine.sh): nvidia-smi's part,
as in tests/unit/images/gpu/examinations.py, and a library that says what CUDA's would."""

from __future__ import annotations

import subprocess
import tempfile
from functools import cache
from pathlib import Path

from tests.unit.images.gpu.examinations import healthy
from tests.unit.images.gpu.situations import DRIVER

QUESTIONS = {
    "--query-gpu=index,pci.bus_id*": "gpu",
    "--query-remapped-rows=*": "rows",
    "--query-gpu=index,clocks_event_reasons*": "throttle",
    "--query-gpu=index,fabric.state*": "fabric",
    "topo*": "topology",
    "nvlink*": "links",
}
"""The beginnings of nvidia-smi's arguments → what is asked."""
_LIBCUDA = "int cuInit(unsigned flags) { return 0; } int cuDeviceGetCount(int *count) { *count = 8; return 0; }\n"
LIBCUDA_AT = "usr/lib/x86_64-linux-gnu/libcuda.so.1"


def examined(version: str) -> str:
    """Lines of a shell script that end it with the answer where its arguments ask for one, of that driver."""
    answers = healthy("a100").evidence.answers
    cases = []
    for beginning, name in QUESTIONS.items():
        lines = "".join(f"{line}\n" for line in answers[name].lines).replace(DRIVER, version)
        cases.append(f"{beginning}) cat <<'THE-ANSWER'\n{lines}THE-ANSWER\n    exit ;;\n")
    return f'case "$*" in\n{"".join(cases)}esac\n'


@cache
def libcuda() -> bytes:
    """A library with the two functions that are called, for `LIBCUDA_AT`."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "libcuda.so.1"
        command = ["cc", "-shared", "-fPIC", "-x", "c", "-o", str(made), "-"]
        subprocess.run(command, input=_LIBCUDA, text=True, check=True)
        return made.read_bytes()
