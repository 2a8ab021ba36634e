"""Pure: is this vLLM allowed with that CUDA and driver? The matrix is images/gpu/versions.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from images.bundle import GpuDemand

MATRIX = Path(__file__).resolve().with_name("versions.toml")


class NotAllowed(ValueError):
    """The choice is outside the matrix; the message says which part, and what would be allowed."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What is to run on a GPU node."""

    runtime: str
    """How it gets there: as `serving.runtime` says it."""
    vllm: str
    """As "0.32.0"."""
    cuda: str
    """As "13" or "12.9": what vLLM was built for."""
    driver: str
    """As "580" or "580.65.06"."""


def load(path: Path = MATRIX) -> dict[str, Any]:
    """The matrix as plain values."""
    return tomllib.loads(path.read_text())


@cache
def shipped() -> Mapping[str, Any]:
    """The matrix of this repository, read once."""
    return load()


def chosen(runtime: str) -> Choice:
    """Engine, its version, CUDA and driver for a `serving.runtime`: one choice, which `validate` allows. Raises
    NotAllowed."""
    choice = replace(pinned(shipped()), runtime=runtime)
    validate(choice, shipped())
    return choice


def image() -> str:
    """The image of `runtime: image`, by tag and, where it is known, digest. Raises NotAllowed."""
    of = shipped()["image"]
    tag = validate(chosen("image"), shipped())
    return f"{of['repository']}:{tag}{f'@{digest}' if (digest := of['digest']) else ''}"


def fixed_image() -> str | None:
    """`image`, if its digest is known."""
    return image() if shipped()["image"]["digest"] else None


def demand(runtime: str, count: int) -> GpuDemand:
    """What a node must have for that choice, with `count` GPUs at least. Where vLLM comes in an environment the machine
    is a VM, whose driver is ours to install; a container's is its host's, a rack's its owner's."""
    driver = int(chosen(runtime).driver.split(".")[0])
    return GpuDemand(install=runtime == "environment", least_driver=driver, count=count)


def pinned(matrix: Mapping[str, Any]) -> Choice:
    """The choice that the project ships."""
    return Choice(**matrix["pins"])


def validate(choice: Choice, matrix: Mapping[str, Any]) -> str | None:
    """The container image's tag, or None where none is pulled. Raises NotAllowed."""
    vllm = _numbers(choice.vllm, "vllm")
    minimum = matrix["minimum"]["vllm"]
    if vllm < _numbers(minimum, "vllm"):
        raise NotAllowed(f"vLLM {choice.vllm} is older than {minimum}, the first with --max-num-queued-reqs")
    rows = [r for r in matrix["allowed"] if choice.runtime in r["runtime"]]
    if not rows:
        raise NotAllowed(
            f"runtime {choice.runtime!r} is unknown: {_known(x for r in matrix['allowed'] for x in r['runtime'])}"
        )
    rows = [r for r in rows if _within(vllm, r)]
    if not rows:
        raise NotAllowed(f"vLLM {choice.vllm} stands in no row of the matrix for runtime {choice.runtime}")
    matching = [r for r in rows if r["cuda"] == choice.cuda]
    if not matching:
        raise NotAllowed(
            f"vLLM {choice.vllm} for runtime {choice.runtime} is not built for CUDA {choice.cuda}: "
            f"{_known(r['cuda'] for r in rows)}"
        )
    row = matching[0]
    if _numbers(choice.driver, "driver")[0] < row["driver_from"]:
        raise NotAllowed(f"CUDA {choice.cuda} needs driver {row['driver_from']} or newer, not {choice.driver}")
    tag: str | None = row.get("tag")
    return tag.format(vllm=choice.vllm) if tag else None


def _within(vllm: tuple[int, ...], row: Mapping[str, Any]) -> bool:
    minor = vllm[:2]
    last = row.get("vllm_until")
    return _numbers(row["vllm_from"], "vllm") <= minor and (last is None or minor <= _numbers(last, "vllm"))


def _known(values: Iterable[object]) -> str:
    return "known are " + ", ".join(dict.fromkeys(map(str, values)))


def _numbers(version: str, what: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in version.split("."))
    except ValueError:
        raise NotAllowed(f"{what} {version!r} is no released version, such as 0.32.0") from None
