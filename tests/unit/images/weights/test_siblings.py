"""Whose weights are copied from another node, and whose are not begun at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from unittest.mock import Mock

import pytest

from images.remote.connection import Connection
from images.remote.host import Host
from images.remote.waiting import Waiting
from images.weights import siblings
from images.weights.onto import Brought, WeightsFailed
from images.weights.sharing import Sharing
from images.weights.siblings import Siblings, bring_among

HOST = Host("name", 22, "user", "ssh-ed25519 AAAA", "/root", "/cache", "127.0.0.1")
JOB: Mapping[str, Any] = {
    "kind": "hf", "place": "a/b", "model": "a/b", "revision": "0" * 40, "record": None,
    "folder": "/w/a--b", "marker": "/w/a--b.json",
}  # fmt: skip


def brought(monkeypatch: pytest.MonkeyPatch, kind: str) -> tuple[list[str], Brought | None]:
    """What was begun on a machine of which that is told, and what came of it."""
    begun: list[str] = []

    def look(*_: object) -> Brought:
        raise WeightsFailed("it says why", kind)

    def bring(*_: object) -> Brought:
        begun.append("bring")
        return Brought("0" * 40, 1, 1, 1, verified=True)

    monkeypatch.setattr(siblings, "look", look)
    monkeypatch.setattr(siblings, "bring", bring)
    connection = Mock(spec=Connection, host=HOST)
    among = Siblings(Sharing(), "fleet", "key", list)
    return begun, bring_among(among, connection, JOB, Waiting(60), lambda line: None)


def test_what_is_not_there_is_brought(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, came = brought(monkeypatch, "absent")
    assert begun == ["bring"]
    assert came is not None


def test_a_folder_that_may_not_be_used_is_told_before_anything_is_copied_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A link, for one: what was copied beside it would be left there."""
    with pytest.raises(WeightsFailed, match="it says why"):
        brought(monkeypatch, "permission")
