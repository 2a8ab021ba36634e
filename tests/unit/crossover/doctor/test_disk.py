"""Whether doctor says what scripts/pulumi will say."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from images.sources import REPOSITORY
from providers.preflight import Grade
from scripts.crossover.doctor.disk import LEAST_FREE_MIB, disk


def test_doctor_and_pulumi_draw_the_line_at_one_place() -> None:
    assert f"CROSSOVER_LEAST_FREE_MIB:-{LEAST_FREE_MIB}" in (REPOSITORY / "scripts" / "pulumi").read_text()


def test_a_disk_with_room_is_fine_and_its_room_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk of the test's own: on the real one others write meanwhile."""
    size = shutil.disk_usage(tmp_path)._replace(free=201 * 2**20)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: size)
    monkeypatch.delenv("CROSSOVER_LEAST_FREE_MIB", raising=False)
    found = list(disk(tmp_path))
    assert {check.level for check in found} == {Grade.OK}
    assert found[0].detail == f"{tmp_path} has 201 MiB free"


def test_a_disk_that_is_nearly_full_fails_with_what_is_there_and_what_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Audit 7."""
    monkeypatch.setenv("CROSSOVER_LEAST_FREE_MIB", str(2**40))
    first = next(iter(disk(tmp_path)))
    assert first.level is Grade.FAIL
    assert f"{2**40} are needed" in first.detail
    assert first.remedy


def test_folders_of_one_disk_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    assert len(list(disk(tmp_path / "."))) == 1


def test_a_folder_that_is_not_there_yet_is_no_reason_to_fail(tmp_path: Path) -> None:
    assert all(str(tmp_path / "none") not in check.detail for check in disk(tmp_path / "none"))
