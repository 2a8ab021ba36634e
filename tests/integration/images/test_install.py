"""Installing for real: sshd, supervisor and two small services on this computer."""

from __future__ import annotations

import os
import signal
import stat
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from images.bundle import File
from images.vehicles.ssh import remove
from images.vehicles.ssh.steps.installation import Installation, Reconnect, Step
from images.vehicles.ssh.steps.order import STEPS
from tests.integration.images.conftest import NOTE, SECRET, Bench, echo, tiny_bundle
from tests.support.eventually import eventually


def test_a_fresh_install_brings_every_service_up_and_reports_it(bench: Bench) -> None:
    report = bench.install()
    assert report.checks == ("one", "two")
    assert report.restarted == ("one", "two")
    assert "config/one.txt" in report.changed_files
    assert report.transferred_bytes > 0
    assert bench.get("one")["text"] == "first"
    assert bench.inspect().healthy, bench.inspect().problems


def test_values_with_quotes_and_dollars_reach_the_service_unchanged(bench: Bench) -> None:
    bench.install()
    assert bench.get("one")["note"] == NOTE


def test_the_second_install_transfers_nothing_and_restarts_nothing(bench: Bench) -> None:
    bench.install()
    before = (bench.get("one")["pid"], bench.get("two")["pid"])
    report = bench.install()
    assert (report.changed_files, report.transferred_bytes, report.restarted, report.reloaded) == ((), 0, (), ())
    assert report.checks == ("one", "two")
    assert (bench.get("one")["pid"], bench.get("two")["pid"]) == before


def test_a_changed_file_restarts_only_the_service_that_uses_it(bench: Bench) -> None:
    bench.install()
    before = bench.get("two")
    report = bench.install(tiny_bundle(one="changed"))
    assert (report.changed_files, report.transferred_bytes) == (("config/one.txt",), len("changed"))
    assert (report.restarted, report.reloaded) == (("one",), ())
    assert bench.get("one")["text"] == "changed"
    assert bench.get("two") == before


def test_a_changed_secret_restarts_the_services_that_read_it(bench: Bench) -> None:
    bench.install()
    bench.secrets = {"api-key": "sk-test-another-one"}
    report = bench.install()
    assert report.changed_files == ("secrets/api-key",)
    assert report.restarted == ("one", "two")


def test_a_service_that_answers_after_two_seconds_is_healthy(bench: Bench) -> None:
    """As a busy vLLM does; here it is stopped for as long."""
    bench.install()
    pid = bench.get("two")["pid"]
    os.kill(pid, signal.SIGSTOP)
    resume = threading.Timer(2, os.kill, (pid, signal.SIGCONT))
    resume.start()
    assert bench.inspect().healthy, bench.inspect().problems
    resume.join()


def test_services_outlive_the_connection_and_the_sshd(bench: Bench) -> None:
    bench.install()
    bench.machine.stop_sshd()
    assert bench.answers("one")


def test_a_killed_supervisord_is_started_again_and_its_orphans_are_ended(bench: Bench) -> None:
    bench.install()
    orphan = bench.get("one")["pid"]
    pid = int((bench.machine.root / "run/supervisord.pid").read_text())
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: pid not in bench.machine.processes(), "its end")
    assert "supervisord does not run" in bench.inspect().problems
    report = bench.install()
    assert report.restarted == ("one", "two")
    assert report.transferred_bytes == 0
    assert bench.get("one")["pid"] != orphan
    assert orphan not in bench.machine.processes()


def test_a_file_edited_on_the_machine_is_reported_and_put_right(bench: Bench) -> None:
    bench.install()
    (bench.machine.root / "config/one.txt").write_text("by hand")
    assert bench.inspect().problems == ("config/one.txt differs",)
    report = bench.install()
    assert (report.changed_files, report.restarted) == (("config/one.txt",), ("one",))


def test_what_a_bundle_no_longer_has_is_removed_and_data_stays(bench: Bench) -> None:
    bench.install()
    pid = bench.get("two")["pid"]
    (bench.machine.root / "data/one/kept").write_text("data")
    whole = tiny_bundle()
    less = replace(
        whole,
        files=tuple(f for f in whole.files if f.path != "config/two.txt"),
        services=(echo("one"),),
        checks=whole.checks[:1],
    )
    report = bench.install(less)
    assert {"config/two.txt", "run/two", "supervisor/programs/two.conf"} <= set(report.changed_files)
    assert pid not in bench.machine.processes()
    assert not (bench.machine.root / "config/two.txt").exists()
    assert (bench.machine.root / "data/one/kept").read_text() == "data"
    again = bench.install(less)
    assert (again.changed_files, again.transferred_bytes, again.restarted) == ((), 0, ())


def test_a_service_that_is_added_is_started_and_the_others_run_on(bench: Bench) -> None:
    bench.install(replace(tiny_bundle(), services=(echo("one"),), checks=tiny_bundle().checks[:1]))
    pid = bench.get("one")["pid"]
    bundle = replace(tiny_bundle(), services=(echo("one"), echo("two")))
    report = bench.install(bundle)
    assert report.restarted == ("two",)
    assert bench.get("one")["pid"] == pid


def test_a_file_that_nothing_names_restarts_all(bench: Bench) -> None:
    bench.install()
    report = bench.install(replace(tiny_bundle(), files=(*tiny_bundle().files, File("who/knows.txt", "x"))))
    assert report.restarted == ("one", "two")


def test_secrets_are_private_files_and_stand_nowhere_else(bench: Bench) -> None:
    bench.install()
    path = bench.machine.root / "secrets/api-key"
    assert path.read_text() == SECRET
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    holders = [p for p in bench.machine.root.rglob("*") if p.is_file() and SECRET in p.read_text(errors="replace")]
    assert holders == [path]
    assert not [argv for argv in bench.machine.processes().values() if any(SECRET in a for a in argv)]
    assert not [line for line in bench.said if SECRET in line]


def test_no_argument_list_holds_a_secret_while_it_is_installed(bench: Bench) -> None:
    seen: list[str] = []

    def look() -> bool:
        seen.extend(a for argv in bench.machine.processes().values() for a in argv)
        return False

    bench.install(cancelled=look)  # asked several times a second, in the middle of every step
    assert any("curl" in a for a in seen)
    assert not [a for a in seen if SECRET in a]


def test_processes_inherit_the_mark_of_the_machine(bench: Bench) -> None:
    bench.install()
    running = bench.machine.processes()
    assert {bench.get("one")["pid"], int((bench.machine.root / "run/supervisord.pid").read_text())} <= set(running)


def test_a_talkative_login_shell_does_no_harm(bench: Bench) -> None:
    (bench.machine.folder / "home/.bashrc").write_text("printf 'supervisord\trunning\n'; echo welcome\n")
    bench.install()
    assert bench.install().transferred_bytes == 0


def test_a_root_with_a_space_and_a_long_path_works(new_bench: Callable[..., Bench], short_path: Path) -> None:
    bench = new_bench("m")
    root = short_path / "a folder with spaces" / ("x" * 90)
    host = bench.machine.host(bench.ports, root=str(root))
    assert bench.install(host=host).checks == ("one", "two")
    assert bench.install(host=host).transferred_bytes == 0
    assert remove(host, tiny_bundle(), bench.machine.private_key)


def test_two_machines_share_a_cache_and_nothing_else(new_bench: Callable[..., Bench]) -> None:
    first, second = new_bench("m1"), new_bench("m2")
    first.install()
    second.install(tiny_bundle(one="mine"))
    assert remove(first.host, tiny_bundle(), first.machine.private_key)
    assert second.get("one")["text"] == "mine"
    assert second.inspect(tiny_bundle(one="mine")).healthy


def test_remove_ends_all_processes_and_removes_secrets_but_not_data(bench: Bench) -> None:
    bench.install()
    (bench.machine.root / "data/one/kept").write_text("data")
    assert remove(bench.host, tiny_bundle(), bench.machine.private_key, say=bench.said.append)
    assert bench.machine.processes() == {}
    left = {p.relative_to(bench.machine.root).parts[0] for p in bench.machine.root.rglob("*") if p.is_file()}
    assert left <= {"data", "logs"}
    assert (bench.machine.root / "data/one/kept").exists()


def test_remove_twice_and_remove_of_nothing_are_fine(bench: Bench) -> None:
    assert remove(bench.host, tiny_bundle(), bench.machine.private_key)
    bench.install()
    assert remove(bench.host, tiny_bundle(), bench.machine.private_key)
    assert remove(bench.host, tiny_bundle(), bench.machine.private_key)


def test_remove_minds_no_machine_that_is_gone(bench: Bench) -> None:
    bench.machine.stop_sshd()
    assert not remove(bench.host, tiny_bundle(), bench.machine.private_key, say=bench.said.append)
    assert "does not answer" in bench.said[-1]


@pytest.mark.parametrize("ended", ["SIGTERM", "SIGKILL"])
def test_inspect_changes_nothing_and_names_what_is_wrong(bench: Bench, ended: str) -> None:
    bench.install()
    pid = int((bench.machine.root / "run/supervisord.pid").read_text())
    os.kill(pid, getattr(signal, ended))
    eventually(lambda: pid not in bench.machine.processes(), "its end")
    problems = bench.inspect().problems
    assert "supervisord does not run" in problems
    assert pid not in bench.machine.processes()


def test_a_step_that_cuts_the_connection_is_run_again_over_a_new_one_and_the_install_ends_ready(bench: Bench) -> None:
    """As a step does that restarts the machine: here its sshd ends, and comes back once somebody waits for it."""
    bench.install()
    seen: list[str] = []

    def restart(under_way: Installation) -> Reconnect | None:
        seen.append(under_way.probe.services["one"])
        if len(seen) == 2:
            return None
        bench.machine.stop_sshd()
        return Reconnect("sshd starts anew", 30)

    def awaited() -> bool:
        if any("waiting for the machine" in line for line in bench.said) and not bench.machine.answers():
            bench.machine.start()
        return False

    steps = (*STEPS[:2], Step("restarting", restart), *STEPS[2:])
    report = bench.install(tiny_bundle(one="changed"), steps=steps, cancelled=awaited)
    assert seen == ["RUNNING", "RUNNING"]
    assert (report.restarted, report.checks) == (("one",), ("one", "two"))
    assert "connecting again: sshd starts anew" in bench.said
    assert bench.get("one")["text"] == "changed"
