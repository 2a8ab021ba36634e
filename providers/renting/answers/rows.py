"""An account's listing, row by row: what somebody else's machine looks like stops nobody."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from providers.base import Cloud, Machine
from providers.errors import Incomplete

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Rows(Generic[Row]):
    """Those whose id can be read, and how many others there are."""

    read: Sequence[Row]
    unread: int = 0


def whole(cloud: str, found: Sequence[Machine], unread: int) -> list[Machine]:
    """What was found. Raises Incomplete, with that, where rows have no id that can be read."""
    if unread:
        rows = "a row" if unread == 1 else f"{unread} rows"
        raise Incomplete(f"{cloud} lists {rows} without an id that can be read: look at them in its console", found)
    return list(found)


def listed(cloud: Cloud, project: str, say: Callable[[str], None]) -> list[Machine]:
    """The project's machines that can be read there; what else there is, is said. Raises what `list` raises."""
    try:
        return cloud.list(project)
    except Incomplete as e:
        say(str(e))
        return [*e.found]
