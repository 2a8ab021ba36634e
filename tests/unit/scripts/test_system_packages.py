"""scripts/system-packages: services stay stopped, and a policy-rc.d that was there before comes back unchanged."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.support.scripts import Sandbox, until

INSTALL = ("scripts/system-packages", "haproxy")
OLD = "#!/bin/sh\nexit 104\n"


@pytest.fixture
def policy(sandbox: Sandbox) -> Path:
    """Where policy-rc.d goes; apt-get logs its arguments with what that answers, and fails or waits if told to."""
    path = sandbox.folder / "policy-rc.d"
    sandbox.env["POLICY_RC_D"] = str(path)
    sandbox.tool("dpkg-query", "exit 1")
    sandbox.tool("dpkg", "printf '%s\\n' /. /lib/systemd/system/haproxy.service /lib/systemd/system/x@.service")
    sandbox.tool("systemctl", f'echo "systemctl $*" >>{sandbox.folder}/log')
    sandbox.tool(
        "apt-get",
        f"""
        status=0; {path} haproxy start || status=$?
        echo "apt-get $* policy=$status" >>{sandbox.folder}/log
        [[ ! -f {sandbox.folder}/wait ]] || exec sleep 600
        [[ ! -f {sandbox.folder}/fail ]]
        """,
    )
    return path


def log(sandbox: Sandbox) -> str:
    path = sandbox.folder / "log"
    return path.read_text() if path.exists() else ""


def test_services_are_forbidden_while_apt_runs_and_not_enabled_after_it(sandbox: Sandbox, policy: Path) -> None:
    """101 is invoke-rc.d's "action forbidden by policy"."""
    sandbox.run(*INSTALL)
    assert "install --no-install-recommends haproxy policy=101\n" in log(sandbox)
    assert "systemctl disable haproxy.service\n" in log(sandbox)
    assert not policy.exists()


def test_services_of_packages_that_were_there_stay_as_they_were(sandbox: Sandbox, policy: Path) -> None:
    sandbox.tool("dpkg-query", "echo install ok installed")
    sandbox.run(*INSTALL)
    assert "systemctl" not in log(sandbox)


def test_an_existing_policy_comes_back(sandbox: Sandbox, policy: Path) -> None:
    sandbox.write(policy, "exit 104")
    before = policy.read_text()
    sandbox.run(*INSTALL)
    assert "policy=101" in log(sandbox)
    assert policy.read_text() == before
    assert list(policy.parent.glob("policy-rc.d*")) == [policy]


def test_it_comes_back_after_a_failure(sandbox: Sandbox, policy: Path) -> None:
    policy.write_text(OLD)
    (sandbox.folder / "fail").touch()
    sandbox.run(*INSTALL, status=1)
    assert policy.read_text() == OLD


def test_it_comes_back_after_an_interruption(sandbox: Sandbox, policy: Path) -> None:
    policy.write_text(OLD)
    interrupt(sandbox, signal.SIGTERM)
    assert policy.read_text() == OLD


def test_after_a_kill_the_next_run_puts_it_back(sandbox: Sandbox, policy: Path) -> None:
    policy.write_text(OLD)
    interrupt(sandbox, signal.SIGKILL)
    assert policy.read_text() != OLD
    sandbox.run(*INSTALL)
    assert policy.read_text() == OLD


def test_after_a_kill_without_an_old_policy_none_is_left_by_the_next_run(sandbox: Sandbox, policy: Path) -> None:
    interrupt(sandbox, signal.SIGKILL)
    assert policy.exists()
    sandbox.run(*INSTALL)
    assert not policy.exists()


def interrupt(sandbox: Sandbox, sign: signal.Signals) -> None:
    """Start an installation, send `sign` to its whole process group in the middle of apt-get, and wait for its end."""
    (sandbox.folder / "wait").touch()
    process = sandbox.start(*INSTALL)
    until(process, lambda: "policy=" in log(sandbox))
    os.killpg(process.pid, sign)
    assert process.wait(30) != 0
    (sandbox.folder / "wait").unlink()
