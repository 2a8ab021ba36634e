"""`crossover reconcile`: refresh, then the gateway alone; quiet and harmless in cron."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from scripts.crossover.__main__ import app
from scripts.crossover.commands import reconcile
from scripts.crossover.stack import state as stack
from scripts.crossover.stack.engine import StackError

AT = "urn:pulumi:prod::crossover::"
ROUTER = f"{AT}crossover:index:Gateway$gpucloud:index:Install::gateway-router"
RESOURCES: list[dict[str, Any]] = [
    {"urn": f"{AT}pulumi:pulumi:Stack::crossover-prod", "type": "pulumi:pulumi:Stack"},
    {"urn": f"{AT}crossover:index:Gateway::gateway", "type": "crossover:index:Gateway"},
    {"urn": f"{AT}crossover:index:Gateway$gpucloud:index:Node::gateway", "type": "gpucloud:index:Node"},
    {
        "urn": f"{AT}crossover:index:Gateway$crossover:aws:Node$aws:ec2/instance:Instance::gateway",
        "type": "aws:ec2/instance:Instance",
    },
    {"urn": ROUTER, "type": "gpucloud:index:Install"},
    {"urn": ROUTER, "type": "gpucloud:index:Install", "delete": True},
    {"urn": f"{AT}crossover:index:Fleet$gpucloud:index:Install::a-inference", "type": "gpucloud:index:Install"},
]


class Engine:
    """Answers as scripts/pulumi would; `calls` keeps the operations and their targets."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, list[str]]] = []
        self.op = "update"
        self.fails: dict[str, str] = {}
        self.resources = RESOURCES

    def __call__(self, *arguments: str, timeout_s: float | None = None) -> str:
        name = arguments[0]
        targets = [arguments[i + 1] for i, argument in enumerate(arguments) if argument == "--target"]
        self.calls.append((name, targets))
        if name in self.fails:
            raise StackError(self.fails[name])
        if name == "stack":
            return json.dumps({"deployment": {"resources": self.resources}})
        steps = [{"op": self.op, "urn": ROUTER}, {"op": "same", "urn": RESOURCES[0]["urn"]}]
        return json.dumps({"steps": steps}) if name == "preview" else ""


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Engine:
    made = Engine()
    monkeypatch.setattr(stack, "pulumi", made)
    monkeypatch.setattr(reconcile, "pulumi", made)
    monkeypatch.setattr(reconcile, "STATE", tmp_path)
    return made


def run() -> Any:
    return CliRunner().invoke(app, ["reconcile", "--stack", "prod"])


def test_it_refreshes_and_changes_the_gateway_alone(engine: Engine) -> None:
    """Neither a machine nor a node's install is aimed at."""
    done = run()
    assert (done.exit_code, done.stdout) == (0, "prod: the gateway was changed: gateway-router\n")
    assert engine.calls == [("refresh", []), ("stack", []), ("preview", [ROUTER]), ("up", [ROUTER])]


def test_where_nothing_changed_it_says_so_in_one_line_and_runs_no_up(engine: Engine) -> None:
    engine.op = "same"
    done = run()
    assert (done.exit_code, done.stdout) == (0, "prod: nothing changed\n")
    assert "up" not in [name for name, _ in engine.calls]


def test_two_never_overlap(engine: Engine) -> None:
    with reconcile._alone("prod") as alone:
        assert alone
        done = run()
        with reconcile._alone("dev") as other:
            assert other
    assert (done.exit_code, "another reconcile is at work" in done.stdout, engine.calls) == (0, True, [])
    assert run().exit_code == 0


def test_a_machine_that_cannot_be_refreshed_keeps_no_other_from_being_followed(engine: Engine) -> None:
    engine.fails["refresh"] = "lambda did not answer"
    done = run()
    assert done.exit_code == 1
    assert "not all could be refreshed" in done.stderr
    assert ("up", [ROUTER]) in engine.calls


@pytest.mark.parametrize("operation", ["preview", "up"])
def test_what_the_engine_refuses_is_told_and_what_to_run_instead(engine: Engine, operation: str) -> None:
    engine.fails[operation] = "the stack is currently locked"
    done = run()
    assert done.exit_code == 1
    assert "the stack is currently locked" in done.stderr
    assert "scripts/up prod" in done.stderr


def test_of_a_plan_that_fails_only_the_errors_are_told(engine: Engine) -> None:
    said = [{"severity": "warning", "message": "Cost gate: WARN"}, {"severity": "error", "message": "error: depends\n"}]
    engine.fails["preview"] = json.dumps({"config": {"x": "y"}, "diagnostics": said})
    assert run().stderr.startswith("crossover: reconcile of prod: error: depends\nreconcile rents nothing: ")


def test_a_stack_without_a_gateway_is_not_up(engine: Engine) -> None:
    engine.resources = RESOURCES[:1]
    assert "it is not up" in run().stderr
