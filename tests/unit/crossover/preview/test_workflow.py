"""The workflow gives a pull request no more than it needs, and a fork's nothing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import Any

import pytest
import yaml

from scripts.crossover.stack import REPOSITORY

WORKFLOW = REPOSITORY / ".github" / "workflows" / "preview.yml"


@pytest.fixture(scope="module")
def workflow() -> dict[Any, Any]:
    document: dict[Any, Any] = yaml.safe_load(WORKFLOW.read_text())
    return document


def steps(workflow: dict[Any, Any], job: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = workflow["jobs"][job]["steps"]
    return found


def test_it_runs_on_pull_requests_alone(workflow: dict[Any, Any]) -> None:
    """Never pull_request_target, whose token may write and whose secrets are in reach. YAML reads `on` as true."""
    assert list(workflow[True]) == ["pull_request"]


def test_each_job_has_its_permissions_and_no_more(workflow: dict[Any, Any]) -> None:
    """OIDC only where the cloud is asked; writing only where nothing of the pull request is run."""
    assert workflow["permissions"] == {}
    assert {name: job["permissions"] for name, job in workflow["jobs"].items()} == {
        "preview": {"contents": "read", "id-token": "write"},
        "report": {"pull-requests": "write", "security-events": "write"},
        "fork": {"contents": "read"},
    }


def test_the_job_that_writes_runs_nothing_of_the_pull_request(workflow: dict[Any, Any]) -> None:
    for step in steps(workflow, "report"):
        assert not step.get("uses", "").startswith("actions/checkout@")
        assert "scripts/" not in step.get("run", "")
        assert ".venv" not in step.get("run", "")


def test_a_fork_gets_no_secret_and_is_not_checked_out(workflow: dict[Any, Any]) -> None:
    text = yaml.safe_dump(workflow["jobs"]["fork"], width=1000)
    assert "secrets." not in text
    assert "id-token" not in text
    (checkout,) = (step for step in steps(workflow, "fork") if step.get("uses", "").startswith("actions/checkout@"))
    assert checkout["with"] == {
        "ref": "${{ github.event.pull_request.base.sha }}",
        "persist-credentials": False,
    }
    assert "--untrusted refs/fork/head" in text
    assert workflow["jobs"]["fork"]["if"].endswith("!= github.repository")
    assert workflow["jobs"]["preview"]["if"].endswith("== github.repository")


def test_a_blocked_preview_is_commented_on_too(workflow: dict[Any, Any]) -> None:
    assert workflow["jobs"]["report"]["if"].startswith("always() && ")
    assert any(s.get("if") == "always()" and "upload-artifact" in s["uses"] for s in steps(workflow, "preview"))


def test_actions_are_pinned_by_commit(workflow: dict[Any, Any]) -> None:
    used = [step["uses"] for job in workflow["jobs"] for step in steps(workflow, job) if "uses" in step]
    assert used
    for action in used:
        assert re.fullmatch(r"[\w-]+/[\w/-]+@[0-9a-f]{40}", action), action


def test_nothing_of_a_pull_request_is_written_into_a_script(workflow: dict[Any, Any]) -> None:
    """`${{ }}` in a script is text that a shell runs: values come as environment variables."""
    for job in workflow["jobs"]:
        for step in steps(workflow, job):
            assert "${{" not in step.get("run", "")


def test_the_marker_is_the_one_that_the_comment_has(workflow: dict[Any, Any]) -> None:
    (step,) = (step for step in steps(workflow, "report") if "marker=" in step.get("run", ""))
    assert 'marker="<!-- crossover:stack=$STACK -->"' in step["run"]
    assert "github-actions[bot]" in step["run"]


def test_actionlint_has_no_complaint() -> None:
    """Built once from tests/tools/go.mod, with the machine's own Go, then in Go's cache."""
    if shutil.which("go") is None:
        pytest.skip("Go is missing, which builds actionlint: see docs/howto/bootstrap.md")
    environment = {**os.environ, "GOFLAGS": "-mod=readonly -modcacherw", "GOTOOLCHAIN": "local", "GOWORK": "off"}
    command = ["go", "-C", str(REPOSITORY / "tests" / "tools"), "tool", "actionlint", str(WORKFLOW)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
