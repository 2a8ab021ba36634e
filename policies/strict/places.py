"""Where a key of a file stands, and the one way in which all messages tell it, as compilers do:
`file:line: key: what is wrong; what to do`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Place = tuple[str, ...]
"""Keys from the top on; an item of a list by its number."""

_TOLD = re.compile(r"[^:\n]+:\d+: ")


def where(file: str, line: int, key: str) -> str:
    """`file:line: key`; without the key where it is empty."""
    return f"{file}:{line}: {key}" if key else f"{file}:{line}"


def told(file: str, line: int, key: str, words: str) -> str:
    """`file:line: key: words`; without the key where it is empty."""
    return f"{where(file, line, key)}: {words}"


def key_of(place: Iterable[str | int]) -> str:
    """ "fleet.nodes.a.candidates[0].sku"; a number is an item of a list."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")


def place_of(key: str) -> Place:
    """Of what `key_of` made."""
    return tuple(part for part in re.split(r"[.\[\]]+", key) if part)


@dataclass(frozen=True)
class Lines:
    """A file's name, and the line of each of its keys, from 1."""

    file: str
    known: Mapping[Place, int]
    namespace: str = ""
    """What complaints may call a key by, before its own name."""

    def at(self, place: Place) -> int:
        """The line of a key, or of the nearest one around it that the file has; 1 if there is none."""
        while place and place not in self.known:
            place = place[:-1]
        return self.known.get(place, 1)

    def located(self, complaints: Iterable[str]) -> list[str]:
        """Each with file and line before the key that it begins with; what names another file's keeps it."""
        return [self._located(complaint) for complaint in complaints]

    def _located(self, complaint: str) -> str:
        own = complaint.removeprefix(self.namespace)
        line = self.at(place_of(own.partition(": ")[0]))
        return complaint if _TOLD.match(own) else told(self.file, line, "", complaint)
