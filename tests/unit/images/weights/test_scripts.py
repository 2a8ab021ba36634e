"""The scripts by which nodes copy weights from one another, with stand-ins for the programs that they call."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[4] / "images" / "weights" / "scripts"


def run(script: str, *args: str, stdin: str, programs: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", **variables}
    command = ["sh", str(FOLDER / f"{script}.sh"), *args]
    return subprocess.run(command, input=stdin, env=environment, capture_output=True, text=True, check=False)


def program(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def archive(path: Path, member: tarfile.TarInfo, content: bytes = b"") -> None:
    with tarfile.open(path, "w") as tar:
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))


def test_a_second_copy_writes_nothing_through_a_link_of_the_first(tmp_path: Path) -> None:
    """A machine that was broken into would else write any file of the one that copies from it."""
    outside, incoming, programs = tmp_path / "outside", tmp_path / "root" / "incoming", tmp_path / "programs"
    outside.mkdir()
    link, through = tarfile.TarInfo("./x"), tarfile.TarInfo("./x/evil")
    link.type, link.linkname = tarfile.SYMTYPE, str(outside)
    archive(tmp_path / "1.tar", link)
    archive(tmp_path / "2.tar", through, b"evil")
    stdin = "-----BEGIN KEY-----\n-----END KEY-----\n5 config.json\n"
    for number in (1, 2):
        program(programs, "ssh", f"cat >/dev/null; cat {tmp_path}/{number}.tar")
        where = ["user", "127.0.0.1", "22", "ssh-ed25519 AAAA", "1000"]
        run("copy", str(tmp_path / "root"), str(incoming), *where, stdin=stdin, programs=programs)
    assert (incoming / "x" / "evil").read_text() == "evil"
    assert list(outside.iterdir()) == []


def test_keys_that_cannot_all_be_written_stay_as_they_are(tmp_path: Path) -> None:
    """grep says 2 where the disk is full: a file of half of the keys would shut everybody out."""
    keys, marker = tmp_path / "authorized_keys", tmp_path / "marker"
    keys.write_text("ssh-ed25519 AAAA owner\n")
    marker.write_text("{}")
    program(tmp_path / "programs", "grep", "exit 2")
    done = run(
        *("share", str(tmp_path), str(marker), "1234"),
        stdin="ssh-ed25519 BBBB\n",
        programs=tmp_path / "programs",
        CROSSOVER_MACHINE=str(tmp_path),
    )
    assert done.returncode != 0
    assert keys.read_text() == "ssh-ed25519 AAAA owner\n"


def test_a_first_key_is_let_in(tmp_path: Path) -> None:
    (tmp_path / "marker").write_text("{}")
    done = run(
        *("share", str(tmp_path), str(tmp_path / "marker"), "1234"),
        stdin="ssh-ed25519 BBBB\n",
        programs=tmp_path,
        CROSSOVER_MACHINE=str(tmp_path),
    )
    assert (done.returncode, done.stdout) == (0, "{}")
    assert (tmp_path / "authorized_keys").read_text().endswith("ssh-ed25519 BBBB crossover-weights-1234\n")
