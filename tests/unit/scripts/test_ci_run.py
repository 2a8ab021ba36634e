""".ci/run and scripts/up: which steps, in which order, and what happens when one fails."""

from __future__ import annotations

import shutil

import pytest

from tests.support.scripts import CHECKOUT, Sandbox


@pytest.fixture
def ci(sandbox: Sandbox) -> Sandbox:
    """A `make` that logs its target, prints two curl lines for `up`, and fails at the target in the file `fail`."""
    (sandbox.root / ".ci").mkdir()
    shutil.copy(CHECKOUT / ".ci" / "run", sandbox.root / ".ci" / "run")
    sandbox.tool(
        "make",
        f"""
        echo "$1" >>{sandbox.folder}/log
        echo "$*" >>{sandbox.folder}/made
        [[ $1 != up ]] || printf '%s\\n' 'endpoint: here' 'curl plain' 'curl stream' '  curl indented'
        [[ $1 != test-all ]] || echo '9 passed in 1.00s'
        [[ ! -f {sandbox.folder}/fail || $(<{sandbox.folder}/fail) != "$1" ]]
        """,
    )
    sandbox.tool(
        "curl", f"echo \"$1 in $PWD\" >>{sandbox.folder}/curls; echo '{{\"choices\": []}}'; echo 'data: [DONE]'"
    )
    return sandbox


def steps(sandbox: Sandbox) -> list[str]:
    return (sandbox.folder / "log").read_text().split()


def test_it_runs_each_step_once_and_ends_on_pytests_line(ci: Sandbox) -> None:
    output = ci.run(".ci/run")
    assert steps(ci) == ["up", "down", "test-all"]
    assert output.splitlines()[-1] == "9 passed in 1.00s"


def test_it_asks_for_the_twenty_slowest_tests(ci: Sandbox) -> None:
    ci.run(".ci/run")
    assert (ci.folder / "made").read_text().splitlines()[-1] == "test-all PYTEST_ARGS=--durations=20"


def test_both_curl_lines_run_as_printed_from_another_folder(ci: Sandbox) -> None:
    ci.run(".ci/run")
    lines = (ci.folder / "curls").read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["plain", "stream"]
    assert not any(str(ci.root) in line for line in lines)


@pytest.mark.parametrize("target", ["up", "down", "test-all"])
def test_a_step_that_fails_fails_it_and_the_stack_goes_down(ci: Sandbox, target: str) -> None:
    (ci.folder / "fail").write_text(target)
    ci.run(".ci/run", status=None)
    assert steps(ci)[-1] == "down"


@pytest.mark.parametrize("answer", ["{}", "exit 22"])
def test_a_curl_line_without_a_completion_fails_it(ci: Sandbox, answer: str) -> None:
    ci.tool("curl", answer if answer.startswith("exit") else f"echo '{answer}'")
    ci.run(".ci/run", status=None)
    assert steps(ci) == ["up", "down"]


def test_up_makes_the_stack_if_there_is_none_and_tells_the_endpoint_last(sandbox: Sandbox) -> None:
    log = sandbox.folder / "log"
    sandbox.write(sandbox.root / "scripts/stack-init", f'echo "stack-init $*" >>{log}')
    sandbox.write(sandbox.root / "scripts/pulumi", f'echo "pulumi $*" >>{log}')
    sandbox.write(sandbox.root / ".venv/bin/python", f'echo "python $*" >>{log}')
    sandbox.run("scripts/up", "dev")
    assert log.read_text().splitlines() == [
        "stack-init dev",
        "pulumi up --stack dev --yes --skip-preview --refresh --policy-pack policies",
        "python -m scripts.crossover endpoint --stack dev",
    ]


def test_a_failed_up_tells_no_endpoint(sandbox: Sandbox) -> None:
    sandbox.write(sandbox.root / "scripts/stack-init", "")
    sandbox.write(sandbox.root / "scripts/pulumi", "exit 255")
    sandbox.write(sandbox.root / ".venv/bin/python", "echo endpoint")
    assert "endpoint" not in sandbox.run("scripts/up", status=255)
