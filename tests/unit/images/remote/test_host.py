"""A host is one that every tool reads alike."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from images.remote.errors import InvalidBundle
from images.remote.host import Host
from tests.unit.images.samples import PLACEMENT


@pytest.mark.parametrize("path", ["", "/", "relative", "/a/../b", '/a"b', "/a$b", "/a;b", "/a\nb"])
@pytest.mark.parametrize("name", ["root", "cache"])
def test_a_folder_that_tools_would_read_differently_is_refused(name: str, path: str) -> None:
    with pytest.raises(InvalidBundle, match=name):
        changed(**{name: path})


def changed(**changes: Any) -> Host:
    return replace(PLACEMENT, **changes)


def test_only_two_kinds_of_supervision_are_known() -> None:
    with pytest.raises(InvalidBundle, match="upstart"):
        replace(PLACEMENT, supervision="upstart")


@pytest.mark.parametrize(("bind", "reached"), [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("10.0.0.5", "10.0.0.5")])
def test_services_are_asked_where_they_listen(bind: str, reached: str) -> None:
    host: Host = replace(PLACEMENT, bind=bind)
    assert host.loopback == reached
