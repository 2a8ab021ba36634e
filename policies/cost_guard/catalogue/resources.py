"""What resources beside nodes cost: list prices of kinds that are known, and types that the team lets through."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import model_validator

from cost_guard.units import HOURS_PER_MONTH
from strict.fields import Text, Usd
from strict.numbers import Number, refuse
from strict.toml import Row, read_rows

RESOURCES, ALLOWED = "resources.toml", "allowed-types.toml"
_FILE = Path(__file__).resolve().parent / "data" / RESOURCES

OptionalUsd = Annotated[Decimal, Number(above="0", at_most="1e6", hint="in USD")] | None
Free = Annotated[Decimal, Number(at_least="0", at_most="1e6")]


class ResourcePrice(Row):
    """What a vendor lists for one resource, keyed `cloud/service/kind`; of another region, with `@region` after it."""

    FILE: ClassVar = RESOURCES

    region: str
    """Where this is the price."""
    usd_per_hour: OptionalUsd = None
    usd_per_gb_month: OptionalUsd = None
    usd_per_iops_month: OptionalUsd = None
    free_iops: Free = Decimal(0)
    usd_per_mbps_month: OptionalUsd = None
    """For each MB/s."""
    free_mbps: Free = Decimal(0)

    @model_validator(mode="after")
    def _one_unit(self) -> ResourcePrice:
        if (self.usd_per_hour is None) == (self.usd_per_gb_month is None):
            raise refuse("exactly one of usdPerHour and usdPerGbMonth")
        return self

    def usd_per_month(self, gb: Decimal, iops: Decimal, mbps: Decimal) -> Decimal:
        """Of one resource with that capacity; what is free of charge is taken off."""
        if self.usd_per_hour is not None:
            return self.usd_per_hour * HOURS_PER_MONTH
        assert self.usd_per_gb_month is not None
        more_iops = max(iops - self.free_iops, Decimal(0)) * (self.usd_per_iops_month or 0)
        more_mbps = max(mbps - self.free_mbps, Decimal(0)) * (self.usd_per_mbps_month or 0)
        return gb * self.usd_per_gb_month + more_iops + more_mbps


class AllowedType(Row):
    """A resource type that the team lets through, keyed by its token."""

    FILE: ClassVar = ALLOWED

    usd_per_month: Usd
    """Of one resource."""
    reason: Text


@lru_cache(maxsize=1)
def load_resources() -> Mapping[str, ResourcePrice]:
    """The committed list. Raises CatalogueError."""
    return read_resources(_FILE)


def read_resources(path: Path) -> Mapping[str, ResourcePrice]:
    """The list of a file, as it stands now. Raises CatalogueError."""
    return read_rows(path, ResourcePrice)


@lru_cache(maxsize=1)
def load_allowed() -> Mapping[str, AllowedType]:
    """The types of the allowed-types.toml of the pack. Raises CatalogueError."""
    return read_allowed(_FILE.parent)


def read_allowed(data: Path) -> Mapping[str, AllowedType]:
    """Those that a catalogue's folder goes with: the file lies beside the pack's entry, so that it is copied with it.
    None where there is no such file. Raises CatalogueError."""
    file = data / ".." / ".." / ".." / ALLOWED
    return read_rows(file, AllowedType) if file.exists() else {}
