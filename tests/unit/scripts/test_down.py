"""scripts/down and scripts/recover: what they call, in which case."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from pathlib import Path

import pytest

from tests.support.scripts import Sandbox


@pytest.fixture
def stack(sandbox: Sandbox) -> Sandbox:
    """Stacks `local` and `dev`, with an engine and a Python that log what they are asked for."""
    log = sandbox.folder / "log"
    listed(sandbox, "local", "dev")
    sandbox.write(
        sandbox.root / ".state/bin/pulumi",
        f"""
        echo "pulumi $*" >>{log}
        case "$*" in
            "stack ls --json") cat {sandbox.folder}/stacks || {{ echo "error: $PULUMI_ERROR" >&2; exit 255; }} ;;
            destroy*) [[ ! -f {sandbox.folder}/fail ]] ;;
        esac
        """,
    )
    sandbox.write(sandbox.root / ".venv/bin/python", f'echo "python $*" >>{log}')
    return sandbox


def listed(sandbox: Sandbox, *names: str) -> None:
    """What `pulumi stack ls --json` then tells, in the engine's own layout."""
    stacks = [{"name": name, "current": False, "resourceCount": 0} for name in names]
    (sandbox.folder / "stacks").write_text(json.dumps(stacks, indent=2))


def called(sandbox: Sandbox) -> list[str]:
    lines = (sandbox.folder / "log").read_text().splitlines()
    return [line for line in lines if "stack ls" not in line]


def lock(sandbox: Sandbox, pid: int, hostname: str | None = None) -> None:
    """A lock as the file backend writes it (pkg/v3 backend/diy/lock.go)."""
    folder = sandbox.root / ".state/pulumi/.pulumi/locks/organization/crossover/local"
    folder.mkdir(parents=True)
    content = {"pid": pid, "username": "me", "hostname": hostname or socket.gethostname(), "timestamp": "2026-01-01"}
    (folder / "1.json").write_text(json.dumps(content, separators=(",", ":")))


def dead_pid() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


DESTROY = "pulumi destroy --stack local --yes --skip-preview"
LEFTOVERS = "python -m scripts.leftovers local"


def test_it_destroys_and_then_looks_for_leftovers(stack: Sandbox) -> None:
    stack.run("scripts/down")
    assert called(stack) == [DESTROY, LEFTOVERS]


def test_another_stack_can_be_named(stack: Sandbox) -> None:
    stack.run("scripts/down", "dev")
    assert called(stack) == [DESTROY.replace("local", "dev"), LEFTOVERS.replace("local", "dev")]


@pytest.mark.parametrize("others", [[], ["dev"], ["local2", "my-local", "acme/probe/dev"]])
def test_without_a_stack_it_only_looks_for_leftovers(stack: Sandbox, others: list[str]) -> None:
    listed(stack, *others)
    assert "there is no stack local" in stack.run("scripts/down")
    assert called(stack) == [LEFTOVERS]


@pytest.mark.parametrize("name", ["acme/local", "acme/crossover/local"])
def test_a_stack_whose_name_the_backend_qualifies_is_destroyed(stack: Sandbox, name: str) -> None:
    listed(stack, "acme/dev", name)
    stack.run("scripts/down")
    assert called(stack) == [DESTROY, LEFTOVERS]


def test_a_backend_that_does_not_answer_is_a_failure_and_no_empty_one(stack: Sandbox) -> None:
    """Machines may be up and bill: it ends with the engine's own message and touches nothing."""
    (stack.folder / "stacks").unlink()
    stack.env["PULUMI_ERROR"] = "unable to open the state: expired token"
    said = stack.run("scripts/down", status=1)
    assert "error: unable to open the state: expired token" in said
    assert "cannot tell whether there is a stack local" in said
    assert called(stack) == []


def test_in_a_checkout_that_was_never_set_up_nothing_is_up(sandbox: Sandbox) -> None:
    assert "nothing is up" in sandbox.run("scripts/down")


def test_a_failed_destroy_is_a_failure_and_ends_no_machine(stack: Sandbox) -> None:
    """The state still knows the machines: ending them behind its back would lose them."""
    (stack.folder / "fail").touch()
    assert "could not be destroyed" in stack.run("scripts/down", status=1)
    assert called(stack) == [DESTROY]


def test_the_lock_of_a_killed_engine_is_ended_first(stack: Sandbox) -> None:
    lock(stack, dead_pid())
    assert "the engine was killed" in stack.run("scripts/down")
    assert called(stack)[:3] == [
        "pulumi cancel --yes --stack local",
        "pulumi refresh --yes --skip-preview --clear-pending-creates --stack local",
        DESTROY,
    ]


@pytest.mark.parametrize("hostname", [None, "another-computer"])
def test_a_lock_that_may_be_alive_is_respected(stack: Sandbox, hostname: str | None) -> None:
    """That of a process that runs, or of another computer."""
    lock(stack, os.getpid() if hostname is None else dead_pid(), hostname)
    stack.run("scripts/down")
    assert called(stack) == [DESTROY, LEFTOVERS]


def test_recover_is_the_documented_recovery(stack: Sandbox, tmp_path: Path) -> None:
    stack.run("scripts/recover")
    assert called(stack) == [
        "pulumi cancel --yes --stack local",
        "pulumi refresh --yes --skip-preview --clear-pending-creates --stack local",
    ]
