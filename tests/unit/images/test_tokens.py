"""Tokens are replaced strictly."""

from __future__ import annotations

from dataclasses import replace

import pytest

from images.remote.errors import InvalidBundle
from images.tokens import resolve
from tests.unit.images.samples import BUNDLE, PLACEMENT, REQUIREMENTS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("@ROOT@/x", "/opt/crossover/x"),
        ("@BIND@:@PORT:web@", "0.0.0.0:8000"),
        ("@ENV:app@/bin/python", f"/var/cache/crossover/venvs/{REQUIREMENTS.sha256[:16]}/bin/python"),
        ("@SECRET:key@", "/opt/crossover/secrets/key"),
        ("@WEIGHTS@/llama", "/opt/crossover/models/llama"),
        ("@SERVER_NAME@", "a.nodes.crossover.internal"),
        ("someone@example.com, @daily, a@b@c, @1", "someone@example.com, @daily, a@b@c, @1"),
    ],
)
def test_each_token_becomes_what_the_table_says_and_other_ats_stay(text: str, expected: str) -> None:
    assert resolve(text, PLACEMENT, BUNDLE, where="f") == expected


@pytest.mark.parametrize(
    "text",
    [
        "@HOST@",
        "@PORT:other@",
        "@PORT@",
        "@PORT:web",
        "@PORT:@",
        "@ENV:other@",
        "@SECRET:other@",
        "@ROOT@:@ROOTS@",
        "@ROOT/x",
        "@ROOT:x@",
        "@BIND",
    ],
)
def test_an_unknown_or_unfinished_token_is_an_error_that_names_it_and_its_file(text: str) -> None:
    with pytest.raises(InvalidBundle, match=r"conf/a\.txt: @"):
        resolve(text, PLACEMENT, BUNDLE, where="conf/a.txt")


def test_what_a_token_becomes_is_not_searched_again() -> None:
    assert resolve("@ROOT@", replace(PLACEMENT, root="/opt/@BIND@"), BUNDLE, where="f") == "/opt/@BIND@"


def test_a_server_name_is_demanded_only_by_who_uses_it() -> None:
    nameless = replace(PLACEMENT, server_name="")
    assert resolve("@ROOT@", nameless, BUNDLE, where="f") == "/opt/crossover"
    with pytest.raises(InvalidBundle, match="no server_name"):
        resolve("@SERVER_NAME@", nameless, BUNDLE, where="f")
