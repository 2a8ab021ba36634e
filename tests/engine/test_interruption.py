"""Ctrl-C, kill -9, a vanished plugin: nothing is rented twice, nothing is lost, recovery is what the runbook says."""

from __future__ import annotations

import os
import signal

from tests.engine.conftest import Project
from tests.engine.test_node import fleet
from tests.support.eventually import eventually
from tests.support.processes import kill, processes_of

SLOW = {"slow_s": 600}
"""Longer than any wait here: what is interrupted never ends by itself."""


def test_ctrl_c_saves_what_exists_and_the_next_up_adopts_it(project: Project) -> None:
    project.program(fleet(bundle=SLOW))
    up = project.start("up", "--yes", "--skip-preview")
    eventually(lambda: len(project.installs) == 2, "both are being installed")
    os.kill(up.pid, signal.SIGINT)
    output, _ = up.communicate(timeout=120)
    assert "Traceback" not in output
    machines = project.machines
    assert len(machines) == 2
    assert project.resource("a-install")["initErrors"]
    project.program(fleet(bundle={"v": 1}))
    project.up()
    assert project.machines == machines


def test_kill_9_of_the_engine_then_the_documented_recovery(project: Project) -> None:
    project.program(fleet({"a": "bay-1"}, bundle=SLOW))
    up = project.start("up", "--yes", "--skip-preview")
    eventually(lambda: len(project.installs) == 1, "one is being installed")
    os.kill(up.pid, signal.SIGKILL)
    up.wait(timeout=60)
    eventually(lambda: not processes_of(project.backend), "language host, program and plugin end by themselves")
    machines = project.machines
    assert len(machines) == 1
    project.run("cancel", "--yes")
    project.run("refresh", "--yes", "--skip-preview", "--clear-pending-creates")
    project.program(fleet({"a": "bay-1"}, bundle={"v": 1}))
    project.up()
    assert project.machines == machines


def test_a_killed_plugin_leaves_a_machine_that_the_next_up_adopts(project: Project) -> None:
    project.env["HOLD_AFTER_LAUNCH"] = "1"
    project.program(fleet({"a": "bay-1"}))
    up = project.start("up", "--yes", "--skip-preview")
    eventually(lambda: project.machines, "there is a machine")
    kill(processes_of(project.backend, "engine/plugin"))
    up.communicate(timeout=120)
    machines = project.machines
    assert len(machines) == 1
    project.env.clear()
    project.up()
    assert project.machines == machines
