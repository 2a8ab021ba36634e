"""What can go wrong while installing, each for real: a clear error, nothing lost, and the next install resumes."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from images.bundle import Bundle, File, PythonEnvironment
from images.remote.connection import Connection
from images.remote.errors import (
    AuthenticationFailed,
    Cancelled,
    CheckFailed,
    CommandFailed,
    DeadlineExceeded,
    DiskFull,
    HostKeyChanged,
    InvalidBundle,
    MissingProgram,
    Unreachable,
)
from images.remote.keys import fingerprint
from images.remote.waiting import Waiting
from images.sources import repository_source
from images.vehicles.ssh import checks
from images.vehicles.ssh.layout.layout import PlannedFile
from images.vehicles.ssh.remove import remove
from images.vehicles.ssh.scripts import put_files, run_script
from images.vehicles.ssh.steps.accept import accept
from images.vehicles.ssh.steps.installation import Installation, Step
from images.vehicles.ssh.steps.order import STEPS
from tests.integration.images.conftest import SECRET, Bench, echo, tiny_bundle
from tests.support.eventually import eventually
from tests.support.sshd import make_key, public_key


def programs(folder: Path, *left_out: str) -> str:
    """A PATH with everything a machine has, but for some programs."""
    folder.mkdir()
    for place in ("/usr/bin", "/bin", "/usr/sbin", str(Path(sys.executable).parent)):
        for program in Path(place).iterdir():
            if program.name not in left_out and not (folder / program.name).is_symlink():
                (folder / program.name).symlink_to(program)
    return str(folder)


class TestConnecting:
    def test_a_changed_host_key_is_refused_with_both_fingerprints_before_anything_is_sent(self, bench: Bench) -> None:
        pinned = public_key(bench.machine.folder / "host_key")
        bench.machine.stop_sshd()
        host = bench.host
        make_key(bench.machine.folder / "host_key")
        bench.machine.start()
        with pytest.raises(HostKeyChanged) as caught:
            bench.install(host=host)
        for key in (pinned, public_key(bench.machine.folder / "host_key")):
            assert fingerprint(base64.b64decode(key.split()[1])) in str(caught.value)
        assert "pulumi refresh" in str(caught.value)
        assert not bench.machine.root.exists()
        assert "Accepted" not in (bench.machine.folder / "sshd.log").read_text()
        assert not remove(host, tiny_bundle(), bench.machine.private_key, say=bench.said.append)

    def test_a_key_that_is_not_authorized_is_refused(self, bench: Bench, tmp_path: Path) -> None:
        with pytest.raises(AuthenticationFailed, match="SHA256:"):
            bench.install(private_key=make_key(tmp_path / "other"))

    def test_a_key_that_is_none_is_refused_without_being_shown(self, bench: Bench) -> None:
        with pytest.raises(AuthenticationFailed) as caught:
            bench.install(private_key="-----BEGIN OPENSSH PRIVATE KEY-----\nnonsense\n")
        assert "nonsense" not in str(caught.value)

    def test_nobody_listening_is_unreachable(self, bench: Bench) -> None:
        bench.machine.stop_sshd()
        with pytest.raises(Unreachable, match="does not answer"):
            bench.install()
        with pytest.raises(Unreachable):
            bench.inspect()

    def test_a_machine_that_answers_late_is_waited_for(self, bench: Bench) -> None:
        bench.machine.stop_sshd()

        def started() -> bool:
            if any(line.startswith("waiting for the machine") for line in bench.said) and not bench.machine.answers():
                bench.machine.start()
            return False

        bench.install(connect_within_s=60, cancelled=started)
        assert [line for line in bench.said if line.startswith("waiting for the machine")]

    def test_a_connection_that_breaks_is_unreachable_and_the_next_install_finishes(self, bench: Bench) -> None:
        asked = 0

        def cut() -> bool:
            nonlocal asked
            asked += 1
            if asked == 10:
                session_of(bench.machine.folder).kill()
            return False

        with pytest.raises(Unreachable):
            bench.install(cancelled=cut)
        bench.install()
        assert bench.inspect().healthy

    def test_another_kind_of_host_key_is_no_way_around_the_pin(self, bench: Bench) -> None:
        wrong = public_key(bench.machine.folder / "user_key").split()[1]
        with pytest.raises(HostKeyChanged):
            bench.install(host=bench.machine.host(bench.ports, host_key=f"ecdsa-sha2-nistp256 {wrong}"))


class TestRotation:
    def test_a_new_key_is_added_by_the_previous_one_which_is_then_dropped(self, bench: Bench, tmp_path: Path) -> None:
        bench.install()
        new, old = make_key(tmp_path / "new"), bench.machine.private_key
        report = bench.install(private_key=new, previous_private_key=old)
        assert report.transferred_bytes == 0
        lines = (bench.machine.folder / "authorized_keys").read_text().splitlines()
        assert [" ".join(line.split()[:2]) for line in lines] == [public_key(tmp_path / "new")]
        with pytest.raises(AuthenticationFailed):
            bench.install(private_key=old)

    def test_a_rotation_that_stopped_between_adding_and_dropping_is_finished(
        self, bench: Bench, tmp_path: Path
    ) -> None:
        new, old = make_key(tmp_path / "new"), bench.machine.private_key
        other = "ssh-ed25519 AAAAsomeone-elses"
        bench.machine.authorize(public_key(bench.machine.folder / "user_key"), other, public_key(tmp_path / "new"))
        bench.install(private_key=new, previous_private_key=old)
        kept = (bench.machine.folder / "authorized_keys").read_text()
        assert public_key(bench.machine.folder / "user_key") not in kept
        assert other in kept

    def test_the_same_key_twice_is_no_rotation(self, bench: Bench) -> None:
        keys = bench.machine.folder / "authorized_keys"
        before = keys.read_text()
        bench.install(previous_private_key=bench.machine.private_key)
        assert keys.read_text() == before
        assert bench.install().restarted == ()

    def test_neither_key_being_known_is_refused(self, bench: Bench, tmp_path: Path) -> None:
        with pytest.raises(AuthenticationFailed):
            bench.install(private_key=make_key(tmp_path / "a"), previous_private_key=make_key(tmp_path / "b"))


class TestPreflight:
    def test_missing_programs_are_named_all_at_once_with_their_packages(self, bench: Bench) -> None:
        bundle = replace(tiny_bundle(), programs=("no-such-program", "python3", "and-no-other"))
        with pytest.raises(MissingProgram) as caught:
            bench.install(bundle)
        assert "no-such-program is not there" in str(caught.value)
        assert "and-no-other" in str(caught.value)
        assert "scripts/bootstrap" in str(caught.value)
        assert not bench.machine.root.exists()

    def test_a_machine_without_curl_is_told_so(self, new_bench: Callable[..., Bench], tmp_path: Path) -> None:
        bench = new_bench(path=programs(tmp_path / "bin", "curl"))
        with pytest.raises(MissingProgram, match="curl is not there"):
            bench.install()

    @pytest.mark.parametrize(
        ("python", "said"),
        [
            ("import sys; sys.exit(1)", "older than 3.11"),
            ("import sys; sys.exit('ensurepip' in sys.argv[2])", "python3-venv"),
            (None, "python3 is not there"),
        ],
        ids=["old", "no-venv", "none"],
    )
    def test_a_python_that_makes_no_environments_is_told_with_its_package(
        self, new_bench: Callable[..., Bench], tmp_path: Path, python: str | None, said: str
    ) -> None:
        names = [f"python3{minor}" for minor in ("", ".11", ".12", ".13", ".14")]
        path = Path(programs(tmp_path / "bin", *names, "uv"))
        if python is not None:
            (path / "python3").write_text(f"#!{sys.executable}\n{python}\n")
            (path / "python3").chmod(0o755)
        bench = new_bench(path=str(path), cache=tmp_path / "empty-cache")
        with pytest.raises(MissingProgram, match=said):
            bench.install(replace(tiny_bundle(), programs=()))

    def test_a_secret_that_is_not_given_is_named_before_anything_is_sent(self, bench: Bench) -> None:
        with pytest.raises(InvalidBundle, match="api-key"):
            bench.install(secrets={"another": "x"})

    def test_a_source_that_changed_since_it_was_rendered_is_refused(self, bench: Bench) -> None:
        stale = tuple(replace(s, sha256="0" * 64) for s in tiny_bundle().sources)
        with pytest.raises(InvalidBundle, match="changed after the bundle was rendered"):
            bench.install(replace(tiny_bundle(), sources=stale))

    def test_an_unknown_token_is_named_with_its_file(self, bench: Bench) -> None:
        bundle = replace(tiny_bundle(), files=(File("config/one.txt", "listen @PORT:three@"),))
        with pytest.raises(InvalidBundle, match=r"config/one.txt: @PORT:three@"):
            bench.install(bundle)


class TestFullDisk:
    @pytest.fixture
    def small(self, new_bench: Callable[..., Bench]) -> Iterator[Bench]:
        """A machine whose root is on a disk of 3 MiB."""
        bench = new_bench()
        if os.geteuid() != 0:
            pytest.skip("mounting a small disk takes root")
        bench.machine.root.mkdir()
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=3m,mode=755", "tmpfs", str(bench.machine.root)], capture_output=True
        )
        if mounted.returncode != 0:
            pytest.skip(f"this computer mounts no tmpfs: {mounted.stderr.decode().strip()}")
        yield bench
        bench.machine.stop()
        # A process that ends is seen no more a moment before it lets go of its folder.
        umount = ["umount", str(bench.machine.root)]
        eventually(lambda: subprocess.run(umount, capture_output=True).returncode == 0, "the disk is let go of")

    def test_a_bundle_that_does_not_fit_is_refused_before_it_is_sent(self, small: Bench) -> None:
        small.install()
        big = replace(tiny_bundle(one="new"), files=(*tiny_bundle(one="new").files, File("big.txt", "x" * (4 << 20))))
        with pytest.raises(DiskFull, match="Nothing was sent"):
            small.install(big)
        assert (small.machine.root / "config/one.txt").read_text() == "first"

    def test_a_disk_that_fills_while_files_come_leaves_each_as_it_was(self, small: Bench) -> None:
        small.install()
        files = [
            PlannedFile("config/one.txt", b"new", 0o644, {}),
            PlannedFile("big.txt", b"x" * (4 << 20), 0o644, {}),
        ]
        with Connection.open(small.host, small.machine.private_key) as connection:
            with pytest.raises(DiskFull, match="as they were"):
                put_files(connection, files, str(small.machine.root), watch=Waiting(30), step="sending")
        assert (small.machine.root / "config/one.txt").read_text() == "first"
        assert not (small.machine.root / "big.txt").exists()
        assert not (small.machine.root / "state/incoming").exists()
        assert small.install().transferred_bytes == 0

    def test_room_made_afterwards_lets_the_next_install_finish(self, small: Bench) -> None:
        filler = small.machine.root / "filler"
        filler.write_bytes(b"x" * (5 << 19))
        with pytest.raises(DiskFull):
            small.install()
        filler.unlink()
        assert small.install().checks == ("one", "two")

    def test_a_file_size_limit_counts_as_a_full_disk(self, new_bench: Callable[..., Bench]) -> None:
        bench = new_bench(shell_prefix="trap '' XFSZ; ulimit -f 64")
        big = PlannedFile("big.txt", b"x" * (1 << 20), 0o644, {})
        with Connection.open(bench.host, bench.machine.private_key) as connection:
            with pytest.raises(DiskFull):
                put_files(connection, [big], str(bench.machine.root), watch=Waiting(30), step="sending")
        assert not (bench.machine.root / "big.txt").exists()

    def test_an_environment_that_does_not_fit_is_a_full_disk_and_is_not_there(self, small: Bench) -> None:
        cache = small.machine.root / "cache"
        with pytest.raises(DiskFull, match="environment supervisor"):
            small.install(host=small.machine.host(small.ports, cache=str(cache)))
        assert not [p for p in (cache / "venvs").iterdir() if p.suffix != ".lock"]


class TestChecks:
    def test_a_service_that_never_gets_healthy_shows_its_log_and_the_next_install_resumes(self, bench: Bench) -> None:
        bench.install()
        patient = tiny_bundle(one="refuse")
        bundle = replace(patient, checks=tuple(replace(c, deadline_s=2) for c in patient.checks))
        with pytest.raises(CheckFailed) as caught:
            bench.install(bundle)
        assert "one was not ready within 2 s" in str(caught.value)
        assert "refusing to start; my key is ***" in caught.value.log_tail
        assert SECRET not in str(caught.value)
        assert bench.answers("two")
        problems = bench.inspect(bundle).problems
        assert any(p.startswith("one fails: ") for p in problems)
        assert bench.install(tiny_bundle(one="better")).checks == ("one", "two")

    def test_time_that_runs_out_during_a_try_still_shows_the_log(self, bench: Bench) -> None:
        """What listens and never answers holds one try for longer than the last step has. That this is no more than
        the install has: test_checks.py."""
        bench.install()

        def hurried(under_way: Installation) -> None:
            under_way.watch = under_way.watch.within(7)  # less than a try may take (check.sh)
            accept(under_way)

        steps = [Step(s.name, hurried) if s.run is accept else s for s in STEPS]
        with pytest.raises(CheckFailed, match=r"one was not ready within \d s, its last answer: none") as caught:
            bench.install(tiny_bundle(one="mute"), steps=steps)
        assert "started" in caught.value.log_tail

    def test_a_check_that_waits_for_another_service_is_told_of_the_one_that_ends(self, bench: Bench) -> None:
        """The gateway's endpoint waits for LiteLLM, and it may be HAProxy whose port is taken."""
        dying = echo("two", command=("sh", "-c", "echo cannot work; exit 3"))
        bundle = replace(tiny_bundle(one="mute"), services=(echo("one"), dying))
        with pytest.raises(CheckFailed, match=r"one will not be ready: two has ended [3-9] times") as caught:
            bench.install(bundle)
        assert "cannot work" in caught.value.log_tail

    def test_the_same_bundle_again_after_its_cause_is_gone_transfers_nothing(self, bench: Bench) -> None:
        marker = bench.machine.folder / "may-start"
        waits = echo(
            "one",
            command=(
                "sh",
                "-c",
                f"test -e {marker} && exec python3 @ROOT@/lib/echo.py @BIND@ @PORT:one@ @ROOT@/config/one.txt",
            ),
        )
        bundle = replace(tiny_bundle(), services=(waits, tiny_bundle().services[1]))
        short = replace(bundle, checks=tuple(replace(c, deadline_s=2) for c in bundle.checks))
        with pytest.raises(CheckFailed):
            bench.install(short)
        marker.touch()
        report = bench.install(bundle)
        assert report.transferred_bytes == 0
        assert report.checks == ("one", "two")

    def test_a_service_without_a_check_that_does_not_stay_up_fails_the_install(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(checks, "SETTLING_S", 2.0)
        dying = echo("two", command=("sh", "-c", "echo cannot work; exit 3"))
        bundle = replace(tiny_bundle(), services=(echo("one"), dying), checks=tiny_bundle().checks[:1])
        with pytest.raises(CheckFailed, match=r"two is (BACKOFF|STARTING)[\s\S]*cannot work"):
            bench.install(bundle)

    def test_a_wrong_key_on_the_machine_fails_the_check_that_needs_it(self, bench: Bench) -> None:
        bench.install()
        (bench.machine.root / "secrets/api-key").write_text("sk-test-wrong")
        problems = bench.inspect().problems
        assert "secrets/api-key differs" in problems
        assert any(p.startswith("one fails: 401") for p in problems)


class TestInterrupting:
    @pytest.mark.parametrize("said", ["building", "sending", "starting supervisord"])
    def test_an_install_interrupted_anywhere_is_finished_by_the_next(
        self, new_bench: Callable[..., Bench], tmp_path: Path, said: str
    ) -> None:
        bench = new_bench(cache=tmp_path / "cache")

        def interrupted() -> bool:
            return any(line.startswith(said) for line in bench.said)

        with pytest.raises(Cancelled, match="the next run resumes"):
            bench.install(cancelled=interrupted)
        bench.said.clear()
        assert bench.install().checks == ("one", "two")
        assert bench.inspect().healthy

    def test_a_restart_that_was_interrupted_is_made_up_for(self, bench: Bench) -> None:
        bench.install()
        with pytest.raises(Cancelled):
            bench.install(
                tiny_bundle(one="changed", two="changed"),
                cancelled=lambda: any(line.startswith("restarting") for line in bench.said),
            )
        bench.said.clear()
        report = bench.install(tiny_bundle(one="changed", two="changed"))
        assert report.transferred_bytes == 0
        assert "two" in report.reloaded
        assert bench.get("one")["text"] == "changed"
        eventually(lambda: bench.get("two")["text"] == "changed", "the signal")

    def test_removal_that_was_interrupted_is_made_up_for(self, bench: Bench) -> None:
        bench.install()
        whole = tiny_bundle(one="changed")
        less = replace(
            whole,
            services=(echo("one"),),
            checks=whole.checks[:1],
            files=tuple(f for f in whole.files if "one" in f.path),
        )
        bench.said.clear()
        with pytest.raises(Cancelled):
            bench.install(less, cancelled=lambda: any(line.startswith("sending") for line in bench.said))
        bench.said.clear()
        bench.install(less)
        assert not (bench.machine.root / "config/two.txt").exists()
        assert bench.inspect(less).healthy

    def test_a_deadline_names_the_step(self, bench: Bench) -> None:
        with pytest.raises(DeadlineExceeded, match="not done within 0 s, stopped while connecting"):
            bench.install(deadline_s=0)

    def test_a_stream_that_ends_early_replaces_nothing(self, bench: Bench) -> None:
        bench.install()
        with Connection.open(bench.host, bench.machine.private_key) as connection:
            result = run_script(
                connection,
                "receive",
                args=[str(bench.machine.root)],
                stdin=bytes(1024),
                watch=Waiting(60),
                step="sending",
            )
        assert result.status != 0
        assert "before all files had come" in result.stderr
        assert bench.install().transferred_bytes == 0


class TestEnvironments:
    def environment(self, repository: Path, requirements: str) -> Bundle:
        """The tiny bundle with one environment more."""
        (repository / "requirements").mkdir(parents=True, exist_ok=True)
        (repository / "requirements/extra.txt").write_text(requirements)
        for needed in ("requirements/supervisor.txt", tiny_bundle().sources[0].source):
            (repository / needed).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(Path(__file__).parents[3] / needed, repository / needed)
        extra = PythonEnvironment("extra", repository_source("extra.txt", "requirements/extra.txt", root=repository))
        return replace(tiny_bundle(), environments=(extra,))

    def test_requirements_that_do_not_match_their_hash_are_refused_with_pips_words(
        self, bench: Bench, tmp_path: Path
    ) -> None:
        text = "setuptools==80.10.2 --hash=sha256:" + "0" * 64 + "\n"
        with pytest.raises(CommandFailed, match="environment extra could not be built") as caught:
            bench.install(self.environment(tmp_path, text), repository=tmp_path)
        assert "hash" in str(caught.value).lower()

    def test_requirements_that_came_in_part_make_no_environment(self, bench: Bench, tmp_path: Path) -> None:
        folder = tmp_path / "venvs" / hashlib.sha256(b"everything").hexdigest()[:16]
        with Connection.open(bench.host, bench.machine.private_key) as connection:
            result = run_script(
                connection,
                "environment",
                args=[str(folder), "python3", ""],
                stdin=b"every",
                watch=Waiting(30),
                step="building",
            )
        assert (result.status, result.stdout) == (1, "the connection ended before all requirements had come\n")
        assert [p.suffix for p in folder.parent.iterdir()] == [".lock"]

    def test_a_uv_that_fails_is_replaced_by_pip(self, new_bench: Callable[..., Bench], tmp_path: Path) -> None:
        path = Path(programs(tmp_path / "bin", "uv"))
        (path / "uv").write_text("#!/bin/sh\necho uv is broken; exit 2\n")
        (path / "uv").chmod(0o755)
        bench = new_bench(path=str(path), cache=tmp_path / "cache")
        assert bench.install().checks == ("one", "two")

    def test_two_machines_that_need_the_same_environment_at_once_build_it_once(
        self, new_bench: Callable[..., Bench], tmp_path: Path
    ) -> None:
        benches = [new_bench(f"m{i}", cache=tmp_path / "cache") for i in range(2)]
        errors: list[BaseException] = []

        def one(bench: Bench) -> None:
            try:
                bench.install()
            except BaseException as e:
                errors.append(e)

        threads = [threading.Thread(target=one, args=(b,)) for b in benches]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert len(list((tmp_path / "cache/venvs").glob("*.build-*"))) == 1

    def test_an_environment_that_was_damaged_is_built_anew(
        self, new_bench: Callable[..., Bench], tmp_path: Path
    ) -> None:
        bench = new_bench(cache=tmp_path / "cache")
        bench.install()
        (built,) = (tmp_path / "cache/venvs").glob("*.build-*/venv")
        (built / "bin/python").unlink()
        assert "the Python environment supervisor is not there" in bench.inspect().problems
        bench.install()
        assert bench.inspect().healthy


class Session:
    """The sshd process of a connection."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def kill(self) -> None:
        os.kill(self.pid, 9)


def session_of(folder: Path) -> Session:
    """The process that serves the newest connection to a machine."""
    parent = int((folder / "sshd.pid").read_text())
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return Session(int(children[-1]))
