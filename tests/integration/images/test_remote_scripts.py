"""The sh scripts that run on machines, those parts of them that no machine of `local` runs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from images.rendering import TEMPLATES, template
from stacks.gateway.model import GatewaySettings

SCRIPTS = sorted(p.stem for p in (TEMPLATES / "remote").glob("*.sh"))


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_every_script_is_sh(name: str, shell: str) -> None:
    script = template(f"remote/{name}.sh")
    done = subprocess.run([shell, "-n"], input=script, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("seconds", "longest"), [(0, 8), (5, 8), (30, 30), (900, 60)])
def test_a_busy_service_has_the_canarys_time_for_one_answer(tmp_path: Path, seconds: int, longest: int) -> None:
    """8 s at least, also for the one try of an inspection (0); no more than 60 s for one of many."""
    curl = tmp_path / "curl"
    curl.write_text('#!/bin/sh\necho "$*" >"$0.asked"\nprintf "\\nstatus:200\\n"\n')
    curl.chmod(0o755)
    subprocess.run(
        ["sh", "-c", template("remote/check.sh"), "sh", str(seconds), "200", "GET", "http://127.0.0.1/", *[""] * 4],
        check=True,
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )
    words = (tmp_path / "curl.asked").read_text().split()
    assert int(words[words.index("--max-time") + 1]) == longest


def test_a_check_waits_at_least_as_long_as_the_gateway() -> None:
    """Else a node that the gateway keeps is reported as unhealthy."""
    assert GatewaySettings().canary_timeout_ms <= 8 * 1000


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
            ["sh", "-c", template("remote/systemd.sh"), "sh", str(self.root), str(self.units)],
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
