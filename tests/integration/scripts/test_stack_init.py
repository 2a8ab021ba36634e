"""scripts/stack-init and scripts/pulumi on the real engine: the committed config file is never written."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests.support.eventually import eventually
from tests.support.scripts import CHECKOUT, Sandbox, alive

pytestmark = pytest.mark.engine

CONFIG = "# A comment that must stay\nconfig:\n    probe:size:  6.0e9   # as a person wrote it\n"
PROGRAM = """
import pulumi
pulumi.export("size", pulumi.Config("probe").require("size"))
pulumi.export("hidden", pulumi.Output.secret("a-secret-of-the-test"))
"""


@pytest.fixture
def project(sandbox: Sandbox) -> Sandbox:
    """A project with a program, whose stack `local` has a committed config file; the engine is this checkout's."""
    (sandbox.root / "Pulumi.yaml").write_text(
        "name: probe\nmain: stacks/\nstackConfigDir: stacks/config\n"
        f"runtime: {{name: python, options: {{virtualenv: {sys.prefix}}}}}\n"
    )
    (sandbox.root / "stacks" / "config").mkdir(parents=True)
    (sandbox.root / "stacks" / "__main__.py").write_text(PROGRAM)
    (sandbox.root / "stacks" / "config" / "Pulumi.local.yaml").write_text(CONFIG)
    sandbox.env["PATH"] = f"{CHECKOUT}/.state/bin:{sandbox.environment['PATH']}"
    return sandbox


def test_the_config_file_stays_as_it_was_through_a_stacks_whole_life(project: Sandbox) -> None:
    file = project.root / "stacks" / "config" / "Pulumi.local.yaml"
    for command in (
        ["scripts/stack-init", "local"],
        ["scripts/pulumi", "preview", "--non-interactive"],
        ["scripts/pulumi", "up", "--stack", "local", "--yes", "--skip-preview"],
        ["scripts/pulumi", "refresh", "--yes", "--skip-preview"],
        ["scripts/stack-init", "local"],
        ["scripts/pulumi", "config", "get", "probe:size"],
    ):
        project.run(*command)
        assert file.read_text() == CONFIG, command
    assert project.told("scripts/pulumi", "stack", "output", "size") == "6000000000\n"
    assert project.told("scripts/pulumi", "stack", "output", "hidden", "--show-secrets") == "a-secret-of-the-test\n"
    assert "a-secret-of-the-test" not in project.run("scripts/pulumi", "stack", "export")
    project.run("scripts/pulumi", "destroy", "--yes", "--skip-preview")
    assert file.read_text() == CONFIG


def test_a_wrong_passphrase_is_refused_before_anything_happens(project: Sandbox) -> None:
    """Also by the first `up`, when the state holds no secret yet that could fail to decrypt."""
    project.run("scripts/stack-init", "local")
    before = project.told("scripts/pulumi", "stack", "export")
    project.env["PULUMI_CONFIG_PASSPHRASE"] = "wrong"
    output = project.run("scripts/pulumi", "up", "--stack", "local", "--yes", "--skip-preview", status=None)
    assert "incorrect passphrase" in output
    del project.env["PULUMI_CONFIG_PASSPHRASE"]
    assert project.told("scripts/pulumi", "stack", "export") == before


def test_the_state_stands_in_for_a_salt_that_was_lost(project: Sandbox) -> None:
    project.run("scripts/stack-init", "local")
    shutil.rmtree(project.root / ".state" / "stack-init")
    project.run("scripts/pulumi", "up", "--stack", "local", "--yes", "--skip-preview")
    assert project.told("scripts/pulumi", "stack", "output", "hidden", "--show-secrets") == "a-secret-of-the-test\n"


def test_two_checkouts_have_stacks_of_one_name_side_by_side(project: Sandbox, tmp_path: Path) -> None:
    project.run("scripts/stack-init", "local")
    other = Sandbox(tmp_path / "other", env=dict(project.env))
    shutil.copytree(project.root / "stacks", other.root / "stacks")
    shutil.copy(project.root / "Pulumi.yaml", other.root)
    assert "local" not in other.told("scripts/pulumi", "stack", "ls")
    other.run("scripts/stack-init", "local")
    assert "local" in other.told("scripts/pulumi", "stack", "ls")


def test_killing_the_engine_leaves_no_process(project: Sandbox) -> None:
    """Neither the language host nor the program, which sleeps."""
    sleeper = "import pathlib, os, time\npathlib.Path('../pid').write_text(str(os.getpid()))\ntime.sleep(600)\n"
    (project.root / "stacks" / "__main__.py").write_text(sleeper)
    project.run("scripts/stack-init", "local")
    process = project.start("scripts/pulumi", "up", "--stack", "local", "--yes", "--skip-preview")
    pid = project.root / "pid"
    eventually(lambda: pid.exists() and pid.read_text(), "the program runs")
    program = int(pid.read_text())
    host = int(Path(f"/proc/{program}/stat").read_text().rpartition(")")[2].split()[1])
    process.kill()
    process.wait()
    eventually(lambda: not alive(program) and not alive(host), "the program and its host end")
