"""The scripts by which nodes copy weights from one another, with stand-ins for the programs that they call."""

from __future__ import annotations

import fcntl
import io
import os
import shutil
import signal
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.support.eventually import eventually

IMAGES = Path(__file__).resolve().parents[4] / "images"
FOLDER = IMAGES / "weights" / "scripts"


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
    stdin = "-----BEGIN KEY-----\n-----END KEY-----\nnow 5 config.json\n"
    for number in (1, 2):
        program(programs, "ssh", f"cat >/dev/null; cat {tmp_path}/{number}.tar")
        where = ["user", "127.0.0.1", "22", "ssh-ed25519 AAAA", "1000"]
        run("copy", str(tmp_path / "root"), str(incoming), *where, stdin=stdin, programs=programs)
    assert (incoming / "x" / "evil").read_text() == "evil"
    assert list(outside.iterdir()) == []


def copied(tmp_path: Path, tar_says: int, came: bytes, later: int = 1024) -> subprocess.CompletedProcess[str]:
    """A copy of "config.json", 5 bytes; "later" comes another time, and "here" is there."""
    incoming, programs = tmp_path / "root" / "incoming", tmp_path / "programs"
    incoming.mkdir(parents=True)
    (incoming / "here").write_text("here")
    archive(tmp_path / "1.tar", tarfile.TarInfo("./config.json"), came)
    program(programs, "ssh", f"cat >{tmp_path}/left-out; cat {tmp_path}/1.tar; exit {tar_says}")
    stdin = f"-----BEGIN KEY-----\n-----END KEY-----\nnow 5 config.json\nlater {later} later\nnow 4 here\n"
    where = ["user", "127.0.0.1", "22", "ssh-ed25519 AAAA", "1000"]
    return run("copy", str(tmp_path / "root"), str(incoming), *where, stdin=stdin, programs=programs)


@pytest.mark.parametrize(
    ("tar_says", "came", "status"),
    [(0, b"12345", 0), (1, b"12345", 0), (0, b"123", 1), (1, b"123", 1), (2, b"12345", 2), (255, b"", 255)],
)
def test_a_copy_is_done_where_the_files_of_now_are_whole(
    tmp_path: Path, tar_says: int, came: bytes, status: int
) -> None:
    """GNU tar ends with 1 where its folder changed while it was read, as that of a node does that copies itself."""
    done = copied(tmp_path, tar_says, came)
    assert done.returncode == status, done
    assert ("config.json has not come whole" in done.stdout) == (status == 1)
    assert (tmp_path / "left-out").read_text() == "./later\n./here\n"
    assert list((tmp_path / "root" / "state").iterdir()) == []


def test_there_must_be_room_for_what_comes_later_too(tmp_path: Path) -> None:
    done = copied(tmp_path, 0, b"12345", later=2 * shutil.disk_usage(tmp_path).free)
    assert done.returncode == 28
    assert not (tmp_path / "left-out").exists()


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


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_copy_that_is_ended_leaves_no_key(tmp_path: Path, number: signal.Signals) -> None:
    """Nor does one that was killed outright, once the next begins."""
    state = tmp_path / "root" / "state"
    state.mkdir(parents=True)
    (state / "copy.99999999").write_text("the key of a copy that was killed")
    program(tmp_path / "programs", "ssh", f"touch {tmp_path}/begun; exec sleep 30")
    where = ["user", "127.0.0.1", "22", "ssh-ed25519 AAAA", "1000"]
    command = ["sh", str(FOLDER / "copy.sh"), str(tmp_path / "root"), str(tmp_path / "incoming"), *where]
    environment = {**os.environ, "PATH": f"{tmp_path / 'programs'}:{os.environ['PATH']}"}
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env=environment,
        start_new_session=True,
        text=True,
        # A shell cannot trap what was ignored before it began, as below nohup.
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    ) as copy:
        try:
            assert copy.stdin is not None
            copy.stdin.write("-----BEGIN KEY-----\n-----END KEY-----\nnow 5 config.json\n")
            copy.stdin.close()
            eventually(lambda: (tmp_path / "begun").exists(), "the copy begins")
            assert (state / f"copy.{copy.pid}").exists()
            copy.send_signal(number)
            assert copy.wait(20) == 128 + number
            assert list(state.iterdir()) == []
        finally:
            os.killpg(copy.pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("script", "args"),
    [
        (FOLDER / "share.sh", ["/f", "/dev/null", "1"]),
        (FOLDER / "unshare.sh", ["0"]),
        (IMAGES / "vehicles" / "ssh" / "scripts" / "keys.sh", []),
    ],
    ids=lambda value: value.name if isinstance(value, Path) else "",
)
def test_one_at_a_time_writes_who_may_log_in(tmp_path: Path, script: Path, args: list[str]) -> None:
    keys = tmp_path / "authorized_keys"
    keys.write_text("ssh-ed25519 AAAA owner\nssh-ed25519 CCCC crossover-weights-0\n")
    before = keys.read_text()
    environment = {**os.environ, "CROSSOVER_MACHINE": str(tmp_path)}
    with open(f"{keys}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with subprocess.Popen(["sh", str(script), *args], stdin=subprocess.PIPE, env=environment, text=True) as writer:
            assert writer.stdin is not None
            writer.stdin.write("ssh-ed25519 BBBB\nssh-ed25519 CCCC\n")
            writer.stdin.close()
            with pytest.raises(subprocess.TimeoutExpired):
                writer.wait(0.5)
            assert keys.read_text() == before
            fcntl.flock(lock, fcntl.LOCK_UN)
            assert writer.wait(20) == 0
    assert keys.read_text() != before
    assert "ssh-ed25519 AAAA owner" in keys.read_text()
