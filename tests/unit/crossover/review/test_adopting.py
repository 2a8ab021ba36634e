"""What other repositories take into their pipelines: sound, pinned, and in the words of the command."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.main import get_command

from images.sources import REPOSITORY
from scripts.crossover.commands import preview

ACTION = REPOSITORY / ".github" / "actions" / "preview" / "action.yml"
TEMPLATE = REPOSITORY / "templates" / "cost-gate.yml"
PAGE = (REPOSITORY / "docs" / "howto" / "adopt.md").read_text()
USES = """\
on: pull_request
jobs:
  gate:
    runs-on: ubuntu-24.04
    steps:
      - uses: ./.github/actions/preview
        with: {{ {inputs} }}
"""


def action() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(ACTION.read_text())
    return document


def template() -> tuple[dict[str, Any], dict[str, Any]]:
    """What the pipeline may set, and the job."""
    given, jobs = yaml.safe_load_all(TEMPLATE.read_text())
    return given["spec"]["inputs"], jobs["cost-gate"]


def scripts() -> Iterator[str]:
    yield from (step["run"] for step in action()["runs"]["steps"])
    yield "\n".join(template()[1]["script"])


def test_every_script_is_sound_and_nothing_is_written_into_it() -> None:
    """An expression in a script is text that a shell runs: values come as variables."""
    for script in scripts():
        assert "${{" not in script
        assert "$[[" not in script
        subprocess.run(["bash", "-n", "-c", script], check=True)
    assert all(step["shell"] == "bash" for step in action()["runs"]["steps"])


def test_the_command_has_every_option_that_they_give_it() -> None:
    alone = typer.Typer()
    alone.command()(preview.command)
    known = {name for option in get_command(alone).params for name in option.opts}
    for script in scripts():
        if "scripts.crossover preview" in script:
            given = script[script.index("scripts.crossover preview") :]
            options = {*re.findall(r"--[a-z][a-z-]+", given), *re.findall(r"options\+=\((--[\w-]+)", script)}
            assert {"--project", "--stack", "--out"} <= options <= known


def test_both_install_from_the_lock_and_keep_the_program_from_our_modules() -> None:
    """PYTHONPATH would be the program's, too, and `stacks` and `scripts` are names that it may have."""
    text = "\n".join(scripts())
    assert text.count("--require-hashes") == text.count("requirements/crossover.txt") == 2
    assert text.count("crossover.pth") == 2
    assert "PYTHONPATH=" not in text


def test_the_template_asks_for_a_commit_and_keeps_the_files_whatever_the_outcome() -> None:
    inputs, job = template()
    assert re.fullmatch(inputs["ref"]["regex"].strip("/"), "0" * 40)
    assert {name for name, given in inputs.items() if "default" not in given} == {"repository", "ref", "stack"}
    used = set(re.findall(r"\$\[\[ inputs\.([a-z]+) \]\]", TEMPLATE.read_text()))
    assert used == set(inputs)
    assert job["artifacts"]["when"] == "always"
    assert job["artifacts"]["reports"]["junit"] == "crossover-preview/junit.xml"


def test_the_page_shows_inputs_that_there_are() -> None:
    """Of the action and of the template."""
    (github,) = re.findall(r"crossover/\.github/actions/preview@COMMIT\n\s+with: (\{.*\})", PAGE)
    assert set(yaml.safe_load(github)) <= set(action()["inputs"])
    (gitlab,) = re.findall(r"inputs: (\{.*\})", PAGE)
    inputs, _ = template()
    required = {name for name, given in inputs.items() if "default" not in given}
    assert required <= set(yaml.safe_load(gitlab)) <= set(inputs)


def test_actionlint_has_no_complaint_and_knows_the_inputs(tmp_path: Path) -> None:
    """In a workflow that uses the action; one that misspells an input is told."""
    if shutil.which("go") is None:
        pytest.skip("Go is missing, which builds actionlint: see docs/howto/bootstrap.md")
    (tmp_path / ".github" / "workflows").mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    shutil.copytree(ACTION.parent, tmp_path / ".github" / "actions" / "preview")
    workflow = tmp_path / ".github" / "workflows" / "gate.yml"
    environment = {**os.environ, "GOFLAGS": "-mod=readonly -modcacherw", "GOTOOLCHAIN": "local", "GOWORK": "off"}
    command = ["go", "-C", str(REPOSITORY / "tests" / "tools"), "tool", "actionlint", str(workflow)]

    def linted(inputs: str) -> tuple[int, str]:
        workflow.write_text(USES.format(inputs=inputs))
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
        assert done.stdout or done.returncode == 0, done.stderr  # else Go could not build it
        return done.returncode, done.stdout

    assert linted("project: infra, stack: dev, strict: true") == (0, "")
    code, said = linted("stak: dev")
    assert (code, 'input "stak" is not defined' in said) == (1, True), said
