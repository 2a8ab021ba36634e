"""The machines that are known, by what GPUs they have: the rows of gpus.toml, times how many a machine has of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import Field

from strict.fields import Name
from strict.numbers import Number, Whole
from strict.toml import Row, read_rows

GPUS = "gpus.toml"
_FILE = Path(__file__).parent / "data" / GPUS

_Figure = Annotated[Decimal, Number(above="0", at_most="1e6")]


class GpuKind(Row):
    """A row of gpus.toml, e.g. "a100-sxm-80gb"."""

    name: Name
    memory_gib: Annotated[Decimal, Number(above="0", at_most="1024")]
    """What CUDA reports in all of one."""
    tflops: _Figure
    """Dense, of 16-bit tensor cores, by its data sheet: prefill scales with it."""
    gigabytes_per_second: _Figure
    """Of its memory, by its data sheet: decode scales with it."""
    counts: Annotated[tuple[Annotated[int, Whole(at_least="1", at_most="64")], ...], Field(min_length=1)]
    """How many of them machines have, e.g. 1 and 8."""


@dataclass(frozen=True, slots=True)
class GpuMachine:
    """A kind of machine."""

    key: str
    """E.g. "8x-a100-sxm-80gb"."""
    gpus: int
    gpu: str
    """What it is sold as, e.g. "A100 80 GB"."""
    memory_gib: Decimal
    """What CUDA reports in all of one GPU."""
    tflops: Decimal
    """Of one GPU; see GpuKind."""
    gigabytes_per_second: Decimal
    """Of one GPU's memory; see GpuKind."""


@lru_cache(maxsize=1)
def load_machines() -> Mapping[str, GpuMachine]:
    """The committed table, by names as `8x-a100-sxm-80gb`. Raises CatalogueError."""
    return read_machines(_FILE)


def read_machines(path: Path) -> Mapping[str, GpuMachine]:
    """The table of a file, as it stands now. Raises CatalogueError."""
    return {
        f"{count}x-{row.key}": GpuMachine(
            f"{count}x-{row.key}", count, row.name, row.memory_gib, row.tflops, row.gigabytes_per_second
        )
        for row in read_rows(path, GpuKind).values()
        for count in row.counts
    }
