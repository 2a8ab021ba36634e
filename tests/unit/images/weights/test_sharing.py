"""Who copies what from whom, by a model of lines: each takes a piece in one unit, and gives one, or two slowly."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from images.remote.errors import DeadlineExceeded
from images.remote.host import Host
from images.remote.waiting import Waiting
from images.weights.holders import Holder, Piece
from images.weights.sharing import GIVES, LEAST_PIECE_BYTES, PIECES, Group, NobodyGives, pieces_of

AT_ONCE = Waiting(0)


def holder(name: str, has: set[Piece] | None) -> Holder:
    """Of all pieces, or of those."""
    host = Host(name, 22, "user", "ssh-ed25519 AAAA", "/root", "/cache", "127.0.0.1")
    return Holder(host, "key", {}, has)


@dataclass
class Node:
    """One that copies."""

    mine: Holder
    missing: set[Piece]
    source: Holder | None = None
    piece: Piece = ()
    left: float = 0.0
    going: ExitStack = field(default_factory=ExitStack)

    def begin(self, group: Group) -> None:
        """The next copy, where somebody has time."""
        try:
            self.source, self.piece = self.going.enter_context(group.copy(self.missing, (), AT_ONCE))
        except DeadlineExceeded:
            return
        assert self.source is not self.mine
        self.left = 1.0

    def end(self, group: Group) -> None:
        self.going.close()
        self.source = None
        self.missing.remove(self.piece)
        group.gained(self.mine, self.piece)


def duration(nodes: int, pieces: int) -> tuple[float, int]:
    """Until all have all, in units; and how many copied at most from one at once."""
    group, all_ = Group(), [(f"{i}",) for i in range(pieces)]
    group.has_all(holder("first", None))
    waiting = [Node(holder(f"n{i}", set()), set(all_)) for i in range(nodes)]
    now, most = 0.0, 0
    while any(node.missing for node in waiting):
        for node in waiting:
            if node.source is None and node.missing:
                node.begin(group)
        busy = [node for node in waiting if node.source]
        assert busy
        rates = {id(node): 1 / node.source.copying for node in busy if node.source}
        most = max([most, *(node.source.copying for node in busy if node.source)])
        step = min(node.left / rates[id(node)] for node in busy)
        now += step
        for node in busy:
            node.left -= step * rates[id(node)]
        for node in busy:
            if node.left < 1e-9:
                node.end(group)
    return now, most


def test_fifteen_copy_thirty_pieces_in_little_more_than_the_time_of_one() -> None:
    """Of one, 30 units; from the first alone it would be 15 times that, and as a tree of whole copies 4 times."""
    took, most = duration(15, 30)
    assert took <= 1.5 * 30
    assert most == GIVES


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 20), st.integers(1, 40))
def test_all_end_with_all_and_faster_than_piece_after_piece(nodes: int, pieces: int) -> None:
    """One piece alone goes to 2, 8, 26 … nodes in 2, 4, 6 units: whoever has it gives it to two at once."""
    took, most = duration(nodes, pieces)
    alone = 2 * math.ceil(math.log(nodes + 1, 1 + GIVES))
    assert pieces <= took + 1e-6
    assert took <= alone * pieces + 1e-6
    assert most <= GIVES


def test_whom_a_copy_broke_off_from_is_asked_where_nobody_else_has_it() -> None:
    """And only if it has all: whoever copies itself, and cannot be reached, would be asked for ever."""
    first, other, piece = holder("first", None), holder("other", {("a",)}), ("a",)
    group = Group()
    group.has_all(first)
    with group.copy([piece], {first}, AT_ONCE) as (asked, _):
        assert asked is first
    group.gained(other, piece)
    for avoided, expected in (({first}, other), ({other}, first), ({first, other}, first)):
        with group.copy([piece], avoided, AT_ONCE) as (asked, _):
            assert asked is expected


def test_who_withdraws_is_asked_no_more_and_waits_for_those_who_copy() -> None:
    giving, piece = holder("giving", {("a",)}), ("a",)
    group = Group()
    group.gained(giving, piece)
    with group.copy([piece], (), AT_ONCE):
        with pytest.raises(DeadlineExceeded, match="waiting for those who copy from here"):
            group.withdraw(giving, AT_ONCE)
        with pytest.raises(NobodyGives), group.copy([piece], (), AT_ONCE):
            raise AssertionError
        group.fetching = "another"
        with pytest.raises(DeadlineExceeded, match="a node that has time"), group.copy([piece], (), AT_ONCE):
            raise AssertionError
    group.withdraw(giving, AT_ONCE)


@given(st.dictionaries(st.text("abc/", min_size=1), st.integers(0, 4 * LEAST_PIECE_BYTES), min_size=1, max_size=60))
def test_pieces_are_all_files_once_and_none_is_larger_than_a_share_or_a_file(sizes: dict[str, int]) -> None:
    pieces = pieces_of({path: {"size": size} for path, size in sizes.items()})
    assert sorted(path for piece in pieces for path in piece) == sorted(sizes)
    share = max(sum(sizes.values()) // PIECES, LEAST_PIECE_BYTES)
    assert all(len(piece) == 1 or sum(sizes[path] for path in piece) <= share for piece in pieces)
    assert len(pieces) <= 1 + 2 * sum(sizes.values()) / share


@pytest.mark.parametrize(("early", "asks"), [(True, False), (False, None)])
def test_a_shared_volume_is_waited_for_until_it_is_full(early: bool, asks: bool | None) -> None:
    """Elsewhere copying begins with the first piece."""
    group = Group(fetching="another")
    group.gained(holder("another", set()), ("a",))
    if asks is None:
        with pytest.raises(DeadlineExceeded, match="waiting for the weights of another"), turn(group, early):
            raise AssertionError
        return
    with turn(group, early) as told:
        assert told is asks
    assert group.fetching == "another"


def turn(group: Group, early: bool) -> AbstractContextManager[bool]:
    return group.turn("me", early, AT_ONCE, lambda line: None)


def test_who_comes_after_a_failure_asks_the_source() -> None:
    group = Group()
    with turn(group, early=True) as asks:  # as it is left by an exception, too
        assert asks
        assert group.fetching == "me"
    with turn(group, early=True) as asks:
        assert asks


def test_a_small_model_is_copied_in_one_go() -> None:
    assert pieces_of({"b": {"size": 5}, "a": {"size": 2}}) == [("a", "b")]
