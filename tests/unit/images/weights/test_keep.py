"""The marker beside a model's folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from images.weights.agent.keep import Marker


@pytest.mark.parametrize("sha256", ["ab" * 32, ""])
def test_files_that_nobody_touched_are_there_whether_their_hash_is_known_or_not(tmp_path: Path, sha256: str) -> None:
    """Else a folder that was taken as it is (`unverified`) would be unhealthy at each refresh."""
    marker = Marker(tmp_path / "marker.json")
    (tmp_path / "config.json").write_text("{}")
    assert not marker.holds(tmp_path)
    marker.add(tmp_path, "config.json", sha256)
    assert marker.holds(tmp_path)
    assert marker.known(tmp_path, "config.json") == sha256
    (tmp_path / "config.json").write_text("{ }")
    assert not marker.holds(tmp_path)
    assert marker.known(tmp_path, "config.json") == ""
