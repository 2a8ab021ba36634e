"""The copy of a stack's identity outlives the state, and says nothing that was not written there."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from providers.renting.memory import identity


@pytest.fixture(autouse=True)
def backend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{tmp_path}")
    return tmp_path


def test_each_identity_is_kept_once_and_those_of_before_stay(backend: Path) -> None:
    """Audit 4: a machine may outlive the credentials that it was launched under."""
    assert identity.kept("p", "s") == ()
    for one in ("1a2b", "3c4d", "1a2b"):
        identity.keep("p", "s", one)
    assert identity.kept("p", "s") == ("1a2b", "3c4d")
    assert identity.kept("p", "t") == ()
    [file] = backend.rglob("stack-ids")
    assert [stat.S_IMODE(path.stat().st_mode) for path in (file, file.parent)] == [0o600, 0o700]


def test_what_is_no_identity_is_none(backend: Path) -> None:
    identity.keep("p", "s", "1a2b")
    [file] = backend.rglob("stack-ids")
    file.write_bytes(b"1a2b\nrm -rf\n<html>\n")
    assert identity.kept("p", "s") == ("1a2b",)
    file.write_bytes(b"\xff\xfe\x00")
    assert identity.kept("p", "s") == ()
