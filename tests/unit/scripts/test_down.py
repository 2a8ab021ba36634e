"""scripts/down and scripts/recover: what they call, in which case."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.support.scripts import CHECKOUT, Sandbox


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
    sandbox.write(
        sandbox.root / ".venv/bin/python",
        f"""
        case "$*" in
            *scripts.locks* | *scripts.mend*) exec {sys.executable} "$@" ;;
        esac
        echo "python $*" >>{log}
        """,
    )
    for name in ("locks.py", "mend.py"):
        shutil.copy(CHECKOUT / "scripts" / name, sandbox.root / "scripts" / name)
    return sandbox


def listed(sandbox: Sandbox, *names: str) -> None:
    """What `pulumi stack ls --json` then tells, in the engine's own layout."""
    stacks = [{"name": name, "current": False, "resourceCount": 0} for name in names]
    (sandbox.folder / "stacks").write_text(json.dumps(stacks, indent=2))


def called(sandbox: Sandbox) -> list[str]:
    lines = (sandbox.folder / "log").read_text().splitlines()
    return [line for line in lines if "stack ls" not in line]


def lock(sandbox: Sandbox, pid: int, hostname: str | None = None, timestamp: str | None = None) -> None:
    """A lock as the file backend writes it (pkg/v3 backend/diy/lock.go)."""
    folder = sandbox.root / ".state/pulumi/.pulumi/locks/organization/crossover/local"
    folder.mkdir(parents=True)
    since = timestamp or datetime.now(UTC).isoformat()
    content = {"pid": pid, "username": "me", "hostname": hostname or socket.gethostname(), "timestamp": since}
    (folder / "1.json").write_text(json.dumps(content, separators=(",", ":")))


@pytest.fixture
def living() -> Iterator[int]:
    """A process that lives."""
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process.pid
        process.kill()


def dead_pid() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


DESTROY = "pulumi destroy --stack local --yes --skip-preview"
LEFTOVERS = "python -m scripts.leftovers local"
BEGUN = "python -m scripts.crossover.stack.surgery.begun local"
"""Says which creates of the stack may bill, and fails if there are any."""


def test_it_destroys_and_then_looks_for_leftovers(stack: Sandbox) -> None:
    stack.run("scripts/down")
    assert called(stack) == [DESTROY, LEFTOVERS, BEGUN]


def test_another_stack_can_be_named(stack: Sandbox) -> None:
    stack.run("scripts/down", "dev")
    assert called(stack) == [
        DESTROY.replace("local", "dev"),
        LEFTOVERS.replace("local", "dev"),
        BEGUN.replace("local", "dev"),
    ]


@pytest.mark.parametrize("others", [[], ["dev"], ["local2", "my-local", "acme/probe/dev"]])
def test_without_a_stack_it_only_looks_for_leftovers(stack: Sandbox, others: list[str]) -> None:
    listed(stack, *others)
    assert "there is no stack local" in stack.run("scripts/down")
    assert called(stack) == [LEFTOVERS, BEGUN]


@pytest.mark.parametrize("name", ["acme/local", "acme/crossover/local"])
def test_a_stack_whose_name_the_backend_qualifies_is_destroyed(stack: Sandbox, name: str) -> None:
    listed(stack, "acme/dev", name)
    stack.run("scripts/down")
    assert called(stack) == [DESTROY, LEFTOVERS, BEGUN]


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
    assert called(stack)[:4] == [*RECOVERY, DESTROY]


def test_the_lock_of_a_living_engine_is_respected(stack: Sandbox, living: int) -> None:
    lock(stack, living)
    stack.run("scripts/down")
    assert called(stack) == [DESTROY, LEFTOVERS, BEGUN]


def test_the_lock_of_another_computer_is_respected(stack: Sandbox) -> None:
    lock(stack, dead_pid(), "another-computer")
    stack.run("scripts/down")
    assert called(stack) == [DESTROY, LEFTOVERS, BEGUN]


RECOVERY = [
    "pulumi cancel --yes --stack local",
    "python -m scripts.crossover.stack.surgery.pending local",
    "pulumi refresh --yes --skip-preview --clear-pending-creates --stack local",
]


def test_recover_is_the_documented_recovery(stack: Sandbox) -> None:
    stack.run("scripts/recover")
    assert called(stack) == RECOVERY


def test_recover_refuses_while_the_engine_lives(stack: Sandbox, living: int) -> None:
    """Audit 15: `make recover` broke the lock of an engine that was at work."""
    lock(stack, living)
    said = stack.run("scripts/recover", status=1)
    assert f"local is locked by me@{socket.gethostname()}, process {living}, since" in said
    assert "wait for it" in said
    assert "--force" in said
    assert "loses" in said
    assert not (stack.folder / "log").exists()


def test_recover_refuses_the_lock_of_another_computer(stack: Sandbox) -> None:
    """Audit 15: whether that engine lives nobody can see from here."""
    lock(stack, dead_pid(), "another-computer")
    assert "me@another-computer" in stack.run("scripts/recover", status=1)
    assert not (stack.folder / "log").exists()


def test_force_ends_the_lock_all_the_same(stack: Sandbox, living: int) -> None:
    lock(stack, living)
    stack.run("scripts/recover", "--force")
    assert called(stack) == RECOVERY


def test_a_number_that_the_system_gave_to_a_later_process_is_no_living_engine(stack: Sandbox, living: int) -> None:
    lock(stack, living, timestamp="2026-01-01T00:00:00Z")
    stack.run("scripts/recover")
    assert called(stack) == RECOVERY


def test_of_a_backend_that_is_no_folder_it_can_tell_nothing_and_says_so(stack: Sandbox) -> None:
    stack.env["PULUMI_BACKEND_URL"] = "s3://somewhere"
    assert "cannot be seen in s3://somewhere" in stack.run("scripts/recover", status=1)
    assert not (stack.folder / "log").exists()
    stack.run("scripts/recover", "--force", "dev")
    assert called(stack) == [line.replace("local", "dev") for line in RECOVERY]


def test_recover_mends_a_state_in_pieces_before_it_does_anything_else(stack: Sandbox) -> None:
    """Audit 7: a full disk cut the state, and every command refused it."""
    folder = stack.root / ".state/pulumi/.pulumi/stacks/crossover"
    folder.mkdir(parents=True)
    (folder / "local.json").write_text('{"version": 3, "checkpo')
    (folder / "local.json.bak").write_text('{"version": 3, "checkpoint": {"latest": {"manifest": {"time": "2026"}}}}')
    assert "put back local.json.bak of 2026" in stack.run("scripts/recover")
    assert json.loads((folder / "local.json").read_text())["version"] == 3
    assert called(stack) == RECOVERY


def test_without_a_readable_backup_recover_ends_and_says_what_is_left(stack: Sandbox) -> None:
    folder = stack.root / ".state/pulumi/.pulumi/stacks/crossover"
    folder.mkdir(parents=True)
    (folder / "local.json").write_text("")
    assert "crossover orphans" in stack.run("scripts/recover", status=1)
    assert not (stack.folder / "log").exists()
