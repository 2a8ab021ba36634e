"""What the gate must know of a cloud. Whatever is not in the table bills, and its regions fail as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from strict.fields import Flag, Given, Section
from strict.toml import read_rows

CLOUDS = "clouds.toml"
_FILE = Path(__file__).parent / "data" / CLOUDS


class CloudFacts(Section):
    """One cloud."""

    key: Annotated[str, Given()]
    """Its name, as candidates spell it."""
    bills: Flag = True
    """A bill grows with an old price or a guessed volume. Not where machines are the team's own, or cost nothing."""
    smaller_domains: Flag = False
    """Its failure domains are smaller than a region and found at launch: regions say nothing about being apart."""
    stands_in: Flag = False
    """Its candidates may name in `standsFor` the SKU whose price and throughput count for them."""
    declared: Flag = False
    """Its machines are the program's own resources, not Nodes."""
    market: Flag = False
    """Its price is each host's own and of the day, so that only a ceiling says what a node may cost."""
    admits: tuple[str, ...] = ()
    """Keys of its section whose ranges may connect to its machines."""


@lru_cache(maxsize=1)
def load_clouds() -> Mapping[str, CloudFacts]:
    """The committed table. Raises CatalogueError."""
    return read_clouds(_FILE)


def read_clouds(path: Path) -> Mapping[str, CloudFacts]:
    """The table of a file, as it stands now. Raises CatalogueError."""
    return read_rows(path, CloudFacts)


def cloud_facts(name: str, table: Mapping[str, CloudFacts] | None = None) -> CloudFacts:
    """Those of a cloud, whether the table has it or not; by default the committed one. Raises CatalogueError."""
    return (load_clouds() if table is None else table).get(name) or CloudFacts(key=name)


def declared() -> list[str]:
    """The clouds whose machines are the program's own resources, by name. Raises CatalogueError."""
    return sorted(name for name, facts in load_clouds().items() if facts.declared)


def not_billing() -> list[str]:
    """The clouds where nothing bills, by name. Raises CatalogueError."""
    return sorted(name for name, facts in load_clouds().items() if not facts.bills)
