"""Ctrl-C, kill -9, a vanished plugin: nothing is rented twice, nothing is lost, recovery is what the runbook says."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

from tests.engine.conftest import Project
from tests.engine.test_node import fleet
from tests.support.processes import kill, processes_of

SLOW = {"slow_s": 600}
"""Longer than any wait here: what is interrupted never ends by itself."""


def wait_for(condition: Callable[[], object], timeout_s: float = 60) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "the condition did not come true"
        time.sleep(0.1)


def test_ctrl_c_saves_what_exists_and_the_next_up_adopts_it(project: Project) -> None:
    project.program(fleet(bundle=SLOW))
    up = project.start("up", "--yes", "--skip-preview")
    wait_for(lambda: len(project.installs) == 2)
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
    wait_for(lambda: len(project.installs) == 1)
    os.kill(up.pid, signal.SIGKILL)
    up.wait(timeout=60)
    wait_for(lambda: not processes_of(project.backend), 60)  # language host, program and plugin end by themselves
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
    wait_for(lambda: project.machines)
    kill(processes_of(project.backend, "engine/plugin"))
    up.communicate(timeout=120)
    machines = project.machines
    assert len(machines) == 1
    project.env.clear()
    project.up()
    assert project.machines == machines
