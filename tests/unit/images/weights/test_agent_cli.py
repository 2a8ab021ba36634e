"""What the program on a node says where a disk or a hub does what nobody expects: one line, never a traceback."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from images.weights.agent import cli
from images.weights.agent.job import Job
from images.weights.agent.listing import Entry
from images.weights.agent.told import Refused


@pytest.mark.parametrize(("number", "kind"), [(28, "full"), (122, "full"), (5, "permission"), (21, "permission")])
def test_what_the_disk_refuses_is_one_line(
    number: int, kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def failing(error: OSError) -> Callable[[Job], None]:
        def bring(_: Job) -> None:
            raise error

        return bring

    job = {"kind": "hf", "place": "a/b", "model": "a/b", "revision": "main"}
    job |= {"folder": str(tmp_path / "m"), "marker": str(tmp_path / "m.json")}
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(job)))
    monkeypatch.setattr(cli, "bring", failing(OSError(number, "no", "/models/x")))
    assert cli.main() == 1
    told = json.loads(capsys.readouterr().out.splitlines()[-1])["refused"]
    assert told == {"kind": kind, "message": "/models/x: no"}


@pytest.mark.parametrize("path", ["a" * 241, "x/" + "ä" * 121 + "/y", "a\ud800"])
def test_a_name_that_no_file_system_takes_is_refused_with_the_listing(path: str) -> None:
    with pytest.raises(Refused, match="is no file that could be kept"):
        Entry(path, 1)


def test_the_longest_name_that_has_room_for_its_part_is_taken() -> None:
    assert Entry("a" * 240, 1).path == "a" * 240
