"""The sh scripts that run on machines, those parts of them that no machine of `local` runs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from images.roles.gateway.settings import GatewaySettings
from images.vehicles.ssh.scripts import FOLDER, read_script

SCRIPTS = sorted(p.stem for p in FOLDER.glob("*.sh"))


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_every_script_is_sh(name: str, shell: str) -> None:
    script = read_script(name)
    done = subprocess.run([shell, "-n"], input=script, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("seconds", "longest"), [(0, 8), (5, 8), (30, 30), (900, 60)])
def test_a_busy_service_has_the_canarys_time_for_one_answer(tmp_path: Path, seconds: int, longest: int) -> None:
    """8 s at least, also for the one try of an inspection (0); no more than 60 s for one of many."""
    curl = tmp_path / "curl"
    curl.write_text('#!/bin/sh\necho "$*" >"$0.asked"\nprintf "\\nstatus:200\\n"\n')
    curl.chmod(0o755)
    subprocess.run(
        ["sh", "-c", read_script("check"), "sh", str(seconds), "200", "GET", *[""] * 5, "http://127.0.0.1/"],
        check=True,
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )
    words = (tmp_path / "curl.asked").read_text().split()
    assert int(words[words.index("--max-time") + 1]) == longest


def test_a_check_waits_at_least_as_long_as_the_gateway() -> None:
    """Else a node that the gateway keeps is reported as unhealthy."""
    assert GatewaySettings().canary_timeout_ms <= 8 * 1000


class Disks:
    """prepare.sh on a machine whose fast disks are a folder, mounted or not."""

    def __init__(self, folder: Path) -> None:
        self.root, self.cache, self.scratch, self.bin = (folder / n for n in ("root", "cache", "nvme", "bin"))
        self.models = self.root / "models"
        self.bin.mkdir()
        self.scratch.mkdir()
        self.mounted(True)
        (self.bin / "systemctl").write_text("#!/bin/sh\nexit 0\n")  # has finished booting
        (self.bin / "systemctl").chmod(0o755)

    def mounted(self, mounted: bool) -> None:
        (self.bin / "mountpoint").write_text(f'#!/bin/sh\n[ "$*" = "-q {self.scratch}" ] && exit {int(not mounted)}\n')
        (self.bin / "mountpoint").chmod(0o755)

    def prepare(self, scratch: str | None = None) -> subprocess.CompletedProcess[str]:
        arguments = [self.root, self.cache, str(self.scratch) if scratch is None else scratch, "models", "data/x"]
        return subprocess.run(
            ["sh", "-c", read_script("prepare"), "crossover", *map(str, arguments)],
            capture_output=True,
            text=True,
            env={"PATH": f"{self.bin}:{os.environ['PATH']}"},
        )


@pytest.fixture
def disks(tmp_path: Path) -> Disks:
    return Disks(tmp_path)


def test_data_folders_lie_on_the_fast_disks_of_a_machine_that_has_some(disks: Disks) -> None:
    """Also the second time, with what has come there since."""
    assert disks.prepare().returncode == 0
    (disks.models / "weights").write_text("70B")
    assert disks.prepare().returncode == 0
    assert (disks.scratch / "models/weights").read_text() == "70B"
    assert (disks.root / "data/x").resolve() == disks.scratch / "data/x"


def test_folders_that_an_earlier_install_left_empty_move_too(disks: Disks) -> None:
    disks.models.mkdir(parents=True)
    assert disks.prepare().returncode == 0
    assert disks.models.resolve() == disks.scratch / "models"


def test_weights_that_are_elsewhere_already_stay_there(disks: Disks) -> None:
    """On the root volume, or where somebody has linked them to."""
    disks.models.mkdir(parents=True)
    (disks.models / "weights").write_text("70B")
    assert disks.prepare().returncode == 0
    assert not disks.models.is_symlink()
    (disks.root / "elsewhere").mkdir()
    (disks.models / "weights").unlink()
    disks.models.rmdir()
    disks.models.symlink_to(disks.root / "elsewhere")
    assert disks.prepare().returncode == 0
    assert disks.models.resolve() == disks.root / "elsewhere"


@pytest.mark.parametrize("scratch", [None, ""])
def test_without_fast_disks_the_folders_lie_in_the_root(disks: Disks, scratch: str | None) -> None:
    disks.mounted(False)
    assert disks.prepare(scratch).returncode == 0
    assert disks.models.is_dir()
    assert not disks.models.is_symlink()


def test_disks_that_a_stop_has_emptied_get_their_folders_again(disks: Disks) -> None:
    assert disks.prepare().returncode == 0
    (disks.scratch / "models").rmdir()
    assert disks.prepare().returncode == 0
    assert (disks.scratch / "models").is_dir()


def test_weights_are_never_put_below_a_mount_that_is_missing(disks: Disks) -> None:
    """They would fill the root volume, and be hidden by the disks when these come back."""
    assert disks.prepare().returncode == 0
    (disks.scratch / "models").rmdir()
    disks.mounted(False)
    done = disks.prepare()
    assert done.returncode == 1
    assert f"{disks.models} lies on {disks.scratch}, and no disk is mounted there" in done.stderr
    assert not (disks.scratch / "models").exists()


class Systemd:
    """systemd.sh with a systemctl and a sudo that only note what they are told."""

    def __init__(self, folder: Path) -> None:
        self.root, self.units, self.log = folder / "root", folder / "units", folder / "log"
        for made in (self.root / "systemd", self.root / "state/pending", self.units, folder / "bin"):
            made.mkdir(parents=True)
        for program, rest in {"systemctl": "", "sudo": 'shift\n"$@"\n'}.items():
            path = folder / "bin" / program
            path.write_text(f'#!/bin/sh\necho "{program} $*" >>{self.log}\n{rest}')
            path.chmod(0o755)
        self.path = f"{folder}/bin:{os.environ['PATH']}"

    def run(self, *orders: str) -> list[str]:
        self.log.write_text("")
        subprocess.run(
            ["sh", "-c", read_script("systemd"), "sh", str(self.root), str(self.units)],
            input="".join(f"{o}\n" for o in orders),
            text=True,
            check=True,
            env={"PATH": self.path},
        )
        return [line for line in self.log.read_text().splitlines() if line.startswith("systemctl")]


@pytest.fixture
def systemd(tmp_path: Path) -> Systemd:
    made = Systemd(tmp_path)
    (made.root / "systemd/u.service").write_text("[Unit]\n")
    return made


def test_a_new_unit_is_copied_made_known_enabled_and_started(systemd: Systemd) -> None:
    (systemd.root / "state/pending/web").write_text("restart\n")
    told = systemd.run("unit u.service", "restart u.service web")
    assert told == ["systemctl daemon-reload", "systemctl enable --quiet u.service", "systemctl restart u.service"]
    assert (systemd.units / "u.service").read_text() == "[Unit]\n"
    assert not (systemd.root / "state/pending/web").exists()


def test_a_unit_that_stands_there_already_is_left_alone(systemd: Systemd) -> None:
    systemd.run("unit u.service")
    assert systemd.run("unit u.service") == ["systemctl enable --quiet u.service"]


def test_a_reload_sends_the_signal_to_the_main_process_alone(systemd: Systemd) -> None:
    assert systemd.run("reload u.service web HUP") == ["systemctl kill --kill-who=main --signal=HUP u.service"]


def test_a_unit_that_is_gone_is_stopped_and_removed_and_twice_is_fine(systemd: Systemd) -> None:
    systemd.run("unit u.service")
    told = systemd.run("remove u.service")
    assert told == ["systemctl disable --now --quiet u.service", "systemctl daemon-reload"]
    assert not (systemd.units / "u.service").exists()
    assert systemd.run("remove u.service") == []
