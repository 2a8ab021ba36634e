"""Who of a fleet has which files, and who copies what from whom.

Whoever has a piece gives it on while it waits for the others, so that nobody's line carries the weights for all: with
n pieces, the last of many nodes has them after little more than the time in which one copies them.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from images.remote.errors import RemoteError
from images.remote.waiting import POLL_S, Progress, Say, Waiting
from images.weights.holders import Files, Holder, Piece

PIECES = 32
"""Into so many the weights are cut, along files: enough to keep all lines busy. A model of 70B has 30 shards."""
LEAST_PIECE_BYTES = 256 << 20
"""To begin a copy takes about half a second, in which a line of 10 Gbit/s carries twice that."""
GIVES = 2
"""How many copy from one machine at once: the second fills the pause between two copies of the first."""


class NobodyGives(RemoteError):
    """Nobody has what is missing, and nobody is about to have it."""


def pieces_of(files: Files) -> list[Piece]:
    """All files, in pieces of about one size; a larger file is a piece."""
    sizes = {path: int(file["size"]) for path, file in sorted(files.items())}
    room = max(sum(sizes.values()) // PIECES, LEAST_PIECE_BYTES)
    found: list[list[str]] = []
    left = 0
    for path, size in sizes.items():
        if size > left or not found:
            found.append([])
            left = room
        found[-1].append(path)
        left -= size
    return [tuple(paths) for paths in found]


@dataclass(slots=True)
class Group:
    """The nodes that want the same files."""

    fetching: str = ""
    """Which machine asks the source, for people; empty: none."""
    files: Files = field(default_factory=dict)
    """What there is, as soon as whoever fetches knows it."""
    _holders: list[Holder] = field(default_factory=list)
    _sent: Counter[Piece] = field(default_factory=Counter)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    @contextmanager
    def turn(self, me: str, early: bool, watch: Waiting, say: Say) -> Iterator[bool]:
        """Whether to ask the source, because nobody has all, or is about to have it. Waits while another asks it:
        until there is something to copy, or unless `early`, until all is there. Raises Cancelled, DeadlineExceeded."""
        tell = Progress(say, prefix="weights: ", every_s=30)
        with self._changed:
            while self.fetching and not (self._holders if early else self._complete()):
                watch.check(f"waiting for the weights of {self.fetching}")
                tell(f"{self.fetching} brings them; this node copies from it then")
                self._changed.wait(POLL_S)
            asks = not self.fetching and not self._complete()
            if asks:
                self.fetching = me
        try:
            yield asks
        finally:
            with self._changed:
                if asks:
                    self.fetching = ""
                self._changed.notify_all()

    def has_all(self, holder: Holder) -> None:
        """It gives from now on, for good."""
        with self._changed:
            holder.has = None
            if holder not in self._holders:
                self._holders.append(holder)
            self._changed.notify_all()

    def gained(self, holder: Holder, piece: Piece) -> None:
        """It has that piece, too, and gives."""
        with self._changed:
            assert holder.has is not None
            holder.has.add(piece)
            if holder not in self._holders:
                self._holders.append(holder)
            self._changed.notify_all()

    def withdraw(self, holder: Holder, watch: Waiting) -> None:
        """Nobody copies from it afterwards. Raises Cancelled, DeadlineExceeded."""
        with self._changed:
            if holder in self._holders:
                self._holders.remove(holder)
            while holder.copying:
                watch.check("waiting for those who copy from here")
                self._changed.wait(POLL_S)

    def complete(self) -> list[Holder]:
        """Those that have all."""
        with self._changed:
            return self._complete()

    def _complete(self) -> list[Holder]:
        return [holder for holder in self._holders if holder.has is None]

    @contextmanager
    def copy(
        self, missing: Collection[Piece], avoided: Collection[Holder], watch: Waiting
    ) -> Iterator[tuple[Holder, Piece]]:
        """What to copy next, and from whom; waits for one who has time. Of those to avoid one is asked that has all,
        where nobody else has anything that is missing. Raises NobodyGives, Cancelled, DeadlineExceeded."""
        with self._changed:
            while (choice := self._choice(missing, avoided)) is None:
                if not self.fetching and not self._able(missing, avoided):
                    raise NobodyGives("nobody has all weights any more")
                watch.check("waiting for a node that has time to give weights")
                self._changed.wait(POLL_S)
            holder, piece = choice
            holder.copying += 1
            self._sent[piece] += 1
        try:
            yield choice
        finally:
            with self._changed:
                holder.copying -= 1
                self._changed.notify_all()

    def _choice(self, missing: Collection[Piece], avoided: Collection[Holder]) -> tuple[Holder, Piece] | None:
        """Of those with time the one with most of it, and of its pieces the one that fewest have asked for."""
        free = [choice for choice in self._able(missing, avoided) if choice[0].copying < GIVES]
        return min(free, key=lambda c: (c[0].copying, self._sent[c[1]], random.random()), default=None)

    def _able(self, missing: Collection[Piece], avoided: Collection[Holder]) -> list[tuple[Holder, Piece]]:
        able = [(h, piece) for h in self._holders for piece in missing if h.has is None or piece in h.has]
        trusted = [choice for choice in able if choice[0] not in avoided]
        return trusted or [choice for choice in able if choice[0].has is None]


@dataclass(slots=True)
class Sharing:
    """Who has what, for the life of a process: of one `up`."""

    _groups: dict[str, Group] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def group(self, name: str) -> Group:
        """The group of that name, made on first use."""
        with self._guard:
            return self._groups.setdefault(name, Group())
