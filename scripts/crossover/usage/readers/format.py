"""What a format is: each reader's module exports one, `FORMAT`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import tzinfo

from scripts.crossover.usage.record import BadExport, Item
from scripts.crossover.usage.stream import Export


@dataclass(frozen=True, kw_only=True)
class Format:
    """How exports of one format are told and read. Nothing has a default, so that nothing is forgotten."""

    name: str
    """As --format takes it."""
    position: int
    """Among the formats: in the list of --format, and where an export could be of several."""
    json: re.Pattern[str] | None
    """Found in its JSON; where signs of several formats are found, the one that stands first counts. None: never
    JSON."""
    columns: tuple[frozenset[str], ...]
    """A CSV header that has all columns of one of these sets is of this format. Empty: never CSV."""
    words: frozenset[str]
    """Keys or columns by which a person tells it; a slip is compared with them."""
    gateway: bool
    """Whether it counts what a provider's own report may count too."""
    read: Callable[[Export, tzinfo], Iterator[Item]]
    """May raise BadExport alone. The zone is --timezone's: that of days and times that name none of their own."""

    def records(self, export: Export, zone: tzinfo) -> Iterator[Item]:
        """What `read` yields. Raises BadExport alone: a reader's own fault names the element at which it came up."""
        try:
            yield from self.read(export, zone)
        except BadExport:
            raise
        except Exception as error:
            fault = f"internal error, {type(error).__name__}: report it"
            raise export.place.bad(f"cannot be read as {self.name}: {fault}") from error
