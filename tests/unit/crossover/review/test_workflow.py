"""The workflow gives a pull request no more than it needs, and a fork's nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from images.sources import REPOSITORY
from scripts.crossover.review.jobs import EXAMPLES, stacks_without_job
from scripts.crossover.stack.config import Tree

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
        "verdict": {"contents": "read"},
        "preview": {"contents": "read", "id-token": "write"},
        "report": {"pull-requests": "write", "security-events": "write", "actions": "read"},
        "gate": {},
    }


def test_the_job_that_writes_runs_nothing_of_the_pull_request(workflow: dict[Any, Any]) -> None:
    for step in steps(workflow, "report"):
        assert not step.get("uses", "").startswith("actions/checkout@")
        assert "scripts/" not in step.get("run", "")
        assert ".venv" not in step.get("run", "")


def test_only_the_job_that_runs_the_pull_requests_code_has_an_environment(workflow: dict[Any, Any]) -> None:
    """Audit 19: its secrets wait there for a reviewer, and the role at AWS can ask for it."""
    assert {name for name, job in workflow["jobs"].items() if "environment" in job} == {"preview"}


def test_a_secret_is_given_to_the_step_that_needs_it_and_to_no_other(workflow: dict[Any, Any]) -> None:
    """Audit 19: the passphrase was in the environment of every step, the bootstrap's among them."""
    for name, job in workflow["jobs"].items():
        assert "secrets." not in json.dumps(job.get("env", {})), name
        for step in job["steps"]:
            if "secrets." in json.dumps(step):
                assert "preview" in step["run"] or "stack-init" in step["run"], step


def test_the_base_judges_without_a_secret_and_checks_nothing_else_out(workflow: dict[Any, Any]) -> None:
    """Forks and branches alike: what a pull request changes of the code, of prices and of waivers has no say there."""
    job = workflow["jobs"]["verdict"]
    text = yaml.safe_dump(job, width=1000)
    assert "if" not in job
    assert "secrets." not in text
    assert "id-token" not in text
    (checkout,) = (step for step in steps(workflow, "verdict") if step.get("uses", "").startswith("actions/checkout@"))
    assert checkout["with"] == {
        "ref": "${{ github.event.pull_request.base.sha }}",
        "persist-credentials": False,
    }
    assert "--untrusted refs/proposed/merge --base HEAD" in text
    assert workflow["jobs"]["preview"]["if"].endswith("== github.repository")


@pytest.mark.parametrize(
    ("verdict", "preview", "fork", "passes"),
    [
        ("success", "success", "false", True),
        ("success", "skipped", "true", True),
        ("success", "skipped", "false", False),
        ("success", "failure", "false", False),
        ("success", "cancelled", "false", False),
        ("failure", "success", "false", False),
        ("failure", "skipped", "true", False),
        ("cancelled", "success", "false", False),
        ("skipped", "success", "false", False),
    ],
)
def test_the_required_check_asks_the_base_and_the_preview(
    workflow: dict[Any, Any], verdict: str, preview: str, fork: str, passes: bool
) -> None:
    """One name for all stacks, those that a pull request adds too. Only a fork has no preview."""
    job = workflow["jobs"]["gate"]
    assert (job["if"], set(job["needs"])) == ("always()", {"verdict", "preview"})
    (step,) = job["steps"]
    assert step["env"]["FORK"] == "${{ github.event.pull_request.head.repo.full_name != github.repository }}"
    given = {**os.environ, "VERDICT": verdict, "PREVIEW": preview, "FORK": fork}
    done = subprocess.run(["bash", "-e", "-c", step["run"]], env=given, capture_output=True, check=False)
    assert (done.returncode == 0) is passes


def test_every_stack_of_this_repository_has_its_jobs(workflow: dict[Any, Any]) -> None:
    """And one that is added without them is found; those of the matrices are no examples besides."""
    assert stacks_without_job(Tree(REPOSITORY)) == ()
    matrices = [job["strategy"]["matrix"]["stack"] for job in workflow["jobs"].values() if "strategy" in job]
    assert matrices == [["local"]] * 3
    assert "local" not in workflow["env"][EXAMPLES].split()


def test_secrets_are_in_reach_of_the_steps_that_need_them_alone(workflow: dict[Any, Any]) -> None:
    """Not of the packages that are installed, nor of others' actions."""
    told = [name for name, job in workflow["jobs"].items() if "secrets." in str({**job, "steps": ()})]
    assert told == []
    near = [
        step.get("name", "") for job in workflow["jobs"] for step in steps(workflow, job) if "secrets." in str(step)
    ]
    assert near == ["A stack of its own, where no backend is set", "Preview"]


def test_a_blocked_preview_is_commented_on_too(workflow: dict[Any, Any]) -> None:
    assert workflow["jobs"]["report"]["if"] == "always() && needs.preview.result != 'skipped'"
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


def test_every_job_ends_and_a_newer_push_replaces_an_older_one(workflow: dict[Any, Any]) -> None:
    """No two runs of one pull request write its comment at the same time."""
    assert all(job["timeout-minutes"] <= 60 for job in workflow["jobs"].values())
    assert workflow["concurrency"] == {
        "group": "preview-${{ github.event.pull_request.number }}",
        "cancel-in-progress": True,
    }


GH = """#!/bin/sh
# Stands in for GitHub: lists two pages of comments, and keeps what is written.
case "$*" in
  *--paginate*) cat "$PAGES" ;;
  *) echo "$2 $3 $4" >"$WRITTEN"; cat preview/comment.md >>"$WRITTEN" ;;
esac
"""


@pytest.fixture
def commented(workflow: dict[Any, Any], tmp_path: Path) -> Callable[..., str]:
    """Runs the step that comments on a pull request that has these comments, and returns what it wrote where."""
    (step,) = (step for step in steps(workflow, "report") if "marker=" in step.get("run", ""))
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "gh").write_text(GH)
    (tools / "gh").chmod(0o755)
    if shutil.which("jq") is None:
        pytest.skip("jq is missing, which GitHub's machines have")

    def run(*pages: list[dict[str, Any]], body: str = "", base: str = "", fails: bool = False) -> str:
        (tmp_path / "pages").write_text("".join(json.dumps(page) for page in pages))
        if body:
            (tmp_path / "preview").mkdir()
            (tmp_path / "preview" / "comment.md").write_text(body)
        if base:
            (tmp_path / "verdict").mkdir()
            (tmp_path / "verdict" / "comment.md").write_text(base)
        environment = {
            "PATH": f"{tools}:{os.environ['PATH']}", "PAGES": str(tmp_path / ("none" if fails else "pages")),
            "WRITTEN": str(tmp_path / "written"), "REPOSITORY": "o/r", "NUMBER": "7", "STACK": "prod", "RUN": "https://run",
        }  # fmt: skip
        # As GitHub runs it: with -e and nothing more.
        done = subprocess.run(["bash", "-e", "-c", step["run"]], cwd=tmp_path, env=environment, capture_output=True)
        assert (done.returncode != 0) is fails, done.stderr
        return (tmp_path / "written").read_text() if (tmp_path / "written").exists() else ""

    return run


MARKER = "<!-- crossover:stack=prod -->"
BASE = "> ⚖️ **The code of the base, whose verdict is required, says:**"
BOT, PERSON = {"login": "github-actions[bot]"}, {"login": "ada"}


def test_the_comment_is_updated_in_place(commented: Callable[..., str]) -> None:
    """Found by its marker on any page; the first one, of this workflow alone, for this stack alone."""
    first = [
        {"id": 1, "user": PERSON, "body": f"{MARKER} mine"},
        {"id": 2, "user": BOT, "body": "<!-- crossover:stack=prod-2 -->"},
        {"id": 3, "user": BOT, "body": f"see {MARKER}"},
    ]
    second = [{"id": 4, "user": BOT, "body": f"{MARKER} old"}, {"id": 5, "user": BOT, "body": f"{MARKER} older"}]
    said = commented(first, second, body=f"{MARKER}\n## new\n\nwords\n")
    assert (
        said == f"--method PATCH repos/o/r/issues/comments/4\n{MARKER}\n## new\n\n{BASE} it left no report\n\nwords\n"
    )


def test_the_first_comment_is_a_new_one_and_has_the_verdict_of_the_base(commented: Callable[..., str]) -> None:
    """What the pull request's own code writes is not all that a reviewer reads."""
    said = commented([], body=f"{MARKER}\n## ✅ PASS\n\nwords\n", base=f"{MARKER}\n## ⛔ BLOCK: `prod`\n\nmore\n")
    assert said == (
        f"--method POST repos/o/r/issues/7/comments\n{MARKER}\n## ✅ PASS\n\n{BASE} ⛔ BLOCK: `prod`\n\nwords\n"
    )


def test_a_preview_without_a_report_is_said_to_have_failed(commented: Callable[..., str]) -> None:
    """Else an old PASS would stay."""
    said = commented([{"id": 4, "user": BOT, "body": f"{MARKER}\n## ✅ PASS"}])
    assert said.startswith(
        f"--method PATCH repos/o/r/issues/comments/4\n{MARKER}\n## 💥 FAILED: the preview of `prod` left"
    )
    assert "[its log](https://run) says why" in said


def test_comments_that_cannot_be_listed_end_in_no_second_one(commented: Callable[..., str]) -> None:
    assert commented([], body=MARKER, fails=True) == ""


def test_what_is_waived_is_not_uploaded(workflow: dict[Any, Any], tmp_path: Path) -> None:
    """GitHub's code scanning opens an alert of a suppressed result as of any other."""
    if shutil.which("jq") is None:
        pytest.skip("jq is missing, which GitHub's machines have")
    (step,) = (step for step in steps(workflow, "report") if "sarif.json" in step.get("run", ""))
    (tmp_path / "preview").mkdir()
    results = [{"ruleId": "a"}, {"ruleId": "b", "suppressions": [{"kind": "external"}]}]
    (tmp_path / "preview" / "sarif.json").write_text(json.dumps({"version": "2.1.0", "runs": [{"results": results}]}))
    subprocess.run(["bash", "-e", "-c", step["run"]], cwd=tmp_path, check=True)
    left = json.loads((tmp_path / "preview" / "sarif.json").read_text())
    assert left == {"version": "2.1.0", "runs": [{"results": [{"ruleId": "a"}]}]}


def test_actionlint_has_no_complaint() -> None:
    """Built once from tests/tools/go.mod, with the machine's own Go, then in Go's cache."""
    if shutil.which("go") is None:
        pytest.skip("Go is missing, which builds actionlint: see docs/howto/bootstrap.md")
    environment = {**os.environ, "GOFLAGS": "-mod=readonly -modcacherw", "GOTOOLCHAIN": "local", "GOWORK": "off"}
    command = ["go", "-C", str(REPOSITORY / "tests" / "tools"), "tool", "actionlint", str(WORKFLOW)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
