"""What another node says of its weights is judged before anything of it goes to a third place."""

from __future__ import annotations

import json
from typing import Any

import pytest

from images.bundle import Weights
from images.remote.errors import CommandFailed
from images.weights import siblings
from images.weights.holders import files_of

FILE = {"size": 5, "mtime_ns": 1, "sha256": "ab" * 32}
GOOD: dict[str, Any] = {"want": "x", "revision": "c0ffee", "verified": True, "files": {"a/config.json": FILE}}


def test_a_whole_marker_is_taken() -> None:
    assert files_of(json.dumps(GOOD), "node-a") == GOOD["files"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        json.dumps(GOOD)[:40],
        "[]",
        "{}",
        json.dumps({**GOOD, "verified": False}),
        json.dumps({**GOOD, "files": ["config.json"]}),
        json.dumps({**GOOD, "files": {"../../etc/cron.d/x": FILE}}),
        json.dumps({**GOOD, "files": {"/etc/cron.d/x": FILE}}),
        json.dumps({**GOOD, "files": {"x\na[$(id)] y": FILE}}),
        json.dumps({**GOOD, "files": {"config.json": {**FILE, "size": "a[$(id)]"}}}),
        json.dumps({**GOOD, "files": {"config.json": {"size": 5}}}),
    ],
)
def test_what_is_cut_or_no_list_of_files_is_an_error_after_which_the_source_is_asked(text: str) -> None:
    with pytest.raises(CommandFailed, match="node-a"):
        files_of(text, "node-a")


@pytest.mark.parametrize(
    ("kind", "unverified", "record", "can"),
    [
        ("hf", False, None, True),
        ("hf", True, None, False),
        ("s3", True, None, False),
        ("s3", True, b"{}", True),
        ("hf", True, b"{}", True),
    ],
)
def test_nobody_waits_for_a_machine_that_can_never_have_them_verified(
    kind: str, unverified: bool, record: bytes | None, can: bool
) -> None:
    weights = Weights(kind, "org/tiny", "org/tiny", unverified=unverified)
    assert siblings.can_be_known(weights, record) is can
