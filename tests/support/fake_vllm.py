"""What stands in for vLLM and for a GPU's driver in tests of how vLLM gets onto a machine. Nothing else is exchanged.

- A wheel named vllm, of the pinned version, whose `vllm serve` is the simulator (images/simulator, which it holds): no
  line of vLLM is in it. `FakeVllm.lock` takes the place of requirements/vllm.txt: the simulator's lock, and that wheel.
- `nvidia-smi`, which answers the query of images/gpu/scripts/look.sh for eight A100: `FILES`.
- The variables of an image that has that vLLM: `FakeVllm.image`.
"""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from images.gpu.matrix import load, pinned
from images.remote.host import Host
from images.sources import REPOSITORY, repository_source
from images.tokens import environment_folder
from tests.support.sandbox import CACHE, PATH, REQUIREMENTS, prepare_cache

VERSION = f"{pinned(load()).vllm}+simulator"
"""What a package index has none of: pip would take vLLM's own wheel for a better one of the same version."""
DRIVER = "580.95.05"
NAME = f"vllm-{VERSION}-py3-none-any.whl"
LD_LIBRARY_PATH = "/usr/local/nvidia/lib64:/usr/local/cuda/lib64"
"""A variable of the image that the test looks for in vLLM's process: no SSH session has it."""
NVIDIA_SMI = f"""#!/bin/sh
# Stand-in for nvidia-smi over eight GPUs; knows this project's main queries and nothing else.
modes=
case " $* " in
*' --query-gpu=index,name,driver_version,'*) ;;
*' --query-gpu=index,pci.bus_id,name,'*) modes='Enabled, Enabled, 0, Disabled, P0, 4, 4, 16, 16' ;;
*) echo "nvidia-smi: not known here: $*" >&2; exit 2 ;;
esac
for index in 0 1 2 3 4 5 6 7; do
    if [ -n "$modes" ]; then
        echo "$index, 00000000:0$index:00.0, NVIDIA A100-SXM4-80GB, {DRIVER}, $modes"
    else
        echo "$index, NVIDIA A100-SXM4-80GB, {DRIVER}, Enabled, 81920, 0"
    fi
done
"""
PYTHON3 = """#!/bin/sh
# python3, but that libcuda starts and sees eight GPUs.
case "$*" in *libcuda.so.1*) echo "0 8" ;; *) exec /usr/bin/python3 "$@" ;; esac
"""
FILES = {"usr/local/bin/nvidia-smi": (NVIDIA_SMI, 0o755), "usr/local/bin/python3": (PYTHON3, 0o755)}
"""For `Sandboxes.files`: what a GPU's host gives to its containers."""


@dataclass(frozen=True)
class FakeVllm:
    """Ready for machines of tests/support/sandbox.py."""

    cache: Path
    """For `sandboxes`: it holds the environment that `lock` makes."""
    lock: str
    """In place of requirements/vllm.txt."""
    environment: str
    """Folder of the environment, on a machine."""

    @property
    def image(self) -> Mapping[str, str]:
        """The variables of a container whose image has that vLLM."""
        return {
            "PATH": f"{self.environment}/bin:{PATH}",
            "LD_LIBRARY_PATH": LD_LIBRARY_PATH,
            "CUDA_VERSION": "13.0.2",
            "VLLM_USAGE_SOURCE": "production-docker-image",
        }


def prepare(folder: Path, monkeypatch: pytest.MonkeyPatch, *requirements: str, python: str | None = None) -> FakeVllm:
    """Builds it, and what `prepare_cache` builds, where it is not there yet. `folder` is for files of the test's own.
    Skips the test where there can be no sandbox."""
    wheel = make_wheel(folder)
    lock = folder / "vllm.txt"
    lock.write_text(lock_with(wheel))
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    cache = prepare_cache(requirements=(*REQUIREMENTS, *requirements, str(lock)), python=python)
    nowhere = Host("", 0, "", "", root="/opt/crossover", cache=CACHE, bind="")
    source = repository_source("requirements/vllm.txt", str(lock))
    return FakeVllm(cache, lock.read_text(), environment_folder(source, nowhere))


def lock_with(wheel: Path) -> str:
    """The simulator's lock, and the wheel."""
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    simulator = (REPOSITORY / "requirements" / "simulator.txt").read_text()
    return f"{simulator}vllm=={VERSION} \\\n    --hash=sha256:{digest}\n"


def make_wheel(folder: Path) -> Path:
    """Byte for byte the same of the same simulator, so that its environment is built once."""
    information = f"vllm-{VERSION}.dist-info"
    simulator = REPOSITORY / "images" / "simulator"
    files = {f"vllm/{p.relative_to(simulator).as_posix()}": p.read_text() for p in sorted(simulator.rglob("*.py"))}
    wanted = (REPOSITORY / "requirements" / "simulator.in").read_text().splitlines()
    needed = "".join(f"Requires-Dist: {line}\n" for line in wanted if line and not line.startswith("#"))
    files |= {
        f"{information}/METADATA": f"Metadata-Version: 2.1\nName: vllm\nVersion: {VERSION}\nSummary: a stand-in\n"
        f"{needed}",
        f"{information}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{information}/entry_points.txt": "[console_scripts]\nvllm = vllm.cli:main\n",
    }
    record = "".join(f"{path},sha256={_digest(text)},{len(text.encode())}\n" for path, text in files.items())
    files[f"{information}/RECORD"] = f"{record}{information}/RECORD,,\n"
    path = folder / NAME
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), text)
    return path


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
