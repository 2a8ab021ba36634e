"""What keepers write of services. The lines are those of supervisor 4.3 and of systemd 252."""

from __future__ import annotations

from typing import Any, cast

import pytest

from images.vehicles.ssh.keepers.keeper import Sign
from images.vehicles.ssh.keepers.supervisor import OWN_LOG, Supervisor
from images.vehicles.ssh.keepers.systemd import Systemd
from tests.unit.images.samples import layout

NOTHING = cast(Any, None)


@pytest.mark.parametrize(
    ("line", "sign"),
    [
        ("WARN exited: web (exit status 3; not expected)", Sign("web", exited="exit status 3", again=True)),
        ("INFO exited: web (exit status 0; expected)", Sign("web", exited="exit status 0", again=True)),
        (
            "WARN exited: web (terminated by SIGKILL; not expected)",
            Sign("web", exited="terminated by SIGKILL", again=True),
        ),
        ("WARN killing 'web' (4242) with SIGKILL", Sign("web", killed=True)),
        ("INFO stopped: web (exit status 0)", Sign("")),
        ("INFO spawned: 'web' with pid 4242", Sign("")),
    ],
)
def test_supervisord_tells_an_end_and_a_kill(line: str, sign: Sign) -> None:
    keeper = Supervisor(NOTHING, layout(), NOTHING, NOTHING)
    assert keeper.sign(OWN_LOG, f"2026-11-29 19:00:00,123 {line}") == sign
    assert keeper.sign("web", line) is None


@pytest.mark.parametrize(
    ("line", "sign"),
    [
        ("Main process exited, code=exited, status=3/NOTIMPLEMENTED", Sign("web", exited="status 3/NOTIMPLEMENTED")),
        ("Main process exited, code=killed, status=9/KILL", Sign("web", exited="status 9/KILL")),
        ("Scheduled restart job, restart counter is at 5.", Sign("web", again=True)),
        ("State 'stop-sigterm' timed out. Killing.", Sign("web", killed=True)),
        ("Deactivated successfully.", Sign("web")),
    ],
)
def test_systemd_tells_an_end_a_new_start_and_a_kill(line: str, sign: Sign) -> None:
    made = layout(supervision="systemd")
    keeper = Systemd(NOTHING, made, NOTHING, NOTHING)
    unit = f"crossover-{made.bundle.role}-web.service"
    assert keeper.sign("web", f"{unit}: {line}") == sign
    assert keeper.sign("web", line) is None


def test_logs_are_followed_from_their_marks_or_from_now() -> None:
    keeper = Supervisor(NOTHING, layout(), NOTHING, NOTHING)
    root = layout().host.root
    assert keeper.followed({"web": "12"}) == [
        f"file\t{OWN_LOG}\t-\t{root}/logs/supervisord.log",
        f"file\tweb\t12\t{root}/logs/web.log",
    ]
    made = layout(supervision="systemd")
    assert Systemd(NOTHING, made, NOTHING, NOTHING).followed({"web": "1700000000"}) == [
        f"unit\tweb\t1700000000\tcrossover-{made.bundle.role}-web.service"
    ]
