"""scripts/bootstrap, with programs that only pretend; its real run is in docs/howto/bootstrap.md."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from tests.support.scripts import CHECKOUT, Sandbox, until


@pytest.mark.parametrize(
    ("least", "found", "enough"),
    [
        ("1.25.11", "1.25.11", True),
        ("1.25.11", "1.26.8", True),
        ("1.25.11", "1.25.9", False),
        ("1.25.11", "1.9.99", False),
        ("3.259.0", "3.1000.0", True),
        ("3.259.0", "3.259.0-alpha.1", True),
        ("3.259.0", "3.258.2", False),
        ("3.11", "3.11.2", True),
        ("3.11", "3.9.2", False),
    ],
)
def test_versions_compare_by_number(sandbox: Sandbox, least: str, found: str, enough: bool) -> None:
    """1.9 is older than 1.25, and a pre-release counts as its release."""
    answer = sandbox.bash(f"source scripts/lib.sh; version_at_least {least} {found} && echo yes || echo no")
    assert answer == ("yes\n" if enough else "no\n")


NO_CLOCK = "source scripts/lib.sh; unset SECONDS; SECONDS=0"
"""Unset, bash's SECONDS is a variable as any other: a second that begins in between would be one more."""


def test_progress_shows_the_end_of_the_log_and_the_status_of_what_failed(sandbox: Sandbox) -> None:
    answer = sandbox.bash(
        f"{NO_CLOCK}; step() {{ seq 100; SECONDS=3; return 7; }}; with_progress 'the step' step || echo status $?",
    )
    assert "the step: failed after 3 s" in answer
    assert "| 100\n" in answer
    assert "| 1\n" not in answer  # only the end
    assert answer.endswith("status 7\n")


def test_progress_hides_the_output_of_what_succeeded(sandbox: Sandbox) -> None:
    answer = sandbox.bash(f"{NO_CLOCK}; step() {{ echo noise; SECONDS=3; }}; with_progress 'the step' step")
    assert answer == "    the step: 3 s\n"


def sourced(script: str) -> str:
    return f"source scripts/bootstrap; {script}"


def test_a_python_that_is_too_old_is_named(sandbox: Sandbox) -> None:
    sandbox.tool("python3", "echo 3.9.2")
    answer = sandbox.bash(sourced("check_machine"), status=1)
    assert "Python 3.9.2; 3.11 or newer is needed" in answer


def test_packages_are_asked_for_only_where_their_programs_are_missing(sandbox: Sandbox) -> None:
    answer = sandbox.bash(
        sourced(f"""
        python={sys.executable}
        find_program() {{ [[ $1 != redis-server && $1 != promtool ]]; }}
        missing_packages
    """)
    )
    assert answer.split() == ["redis-server", "prometheus"]


def test_a_python_without_ensurepip_needs_its_package(sandbox: Sandbox) -> None:
    sandbox.tool("no-ensurepip", "exit 1")
    answer = sandbox.bash(sourced("python=no-ensurepip; find_program() { true; }; missing_packages"))
    assert answer == "python3-venv\n"


def test_without_root_and_sudo_it_prints_what_an_administrator_is_to_run(sandbox: Sandbox) -> None:
    answer = sandbox.bash(
        sourced("""
        missing_packages() { echo haproxy; echo curl; echo haproxy; }
        is_root() { false; }
        command() { [[ $2 != sudo ]] && builtin command "$@"; }
        install_packages
    """),
        status=1,
    )
    assert f"As root, run: {sandbox.root}/scripts/system-packages curl haproxy\n" in answer


def test_sudo_runs_the_installation_where_the_user_is_not_root(sandbox: Sandbox) -> None:
    sandbox.tool("sudo", f'[[ $1 == -n ]] || printf "%s\\n" "$*" >{sandbox.folder}/asked')
    sandbox.bash(
        sourced(f"""
        missing_packages() {{ [[ -f {sandbox.folder}/asked ]] || echo haproxy; }}
        is_root() {{ false; }}
        install_packages
    """)
    )
    assert (sandbox.folder / "asked").read_text() == f"{sandbox.root}/scripts/system-packages haproxy\n"


def test_a_machine_without_apt_is_told_what_to_install(sandbox: Sandbox) -> None:
    answer = sandbox.bash(
        sourced("""
        missing_packages() { echo haproxy; }
        command() { [[ $2 != apt-get ]] && builtin command "$@"; }
        install_packages
    """),
        status=1,
    )
    assert "this is no Debian" in answer


def make_requirements(sandbox: Sandbox) -> None:
    (sandbox.root / "requirements").mkdir()
    for name in ("uv.txt", "dev.txt"):
        (sandbox.root / "requirements" / name).write_text("pinned==1\n")
    (sandbox.root / "pyproject.toml").write_text("")


def pretend_python(sandbox: Sandbox) -> str:
    """A Python whose `-m venv` makes a virtual environment of pretended programs, which log their arguments."""
    log = sandbox.folder / "log"
    sandbox.tool("inner-python", f'echo "python $*" >>{log}')
    sandbox.tool(
        "inner-uv", f'echo "uv $* index=${{UV_DEFAULT_INDEX:-none}}" >>{log}; [[ ! -f {sandbox.folder}/fail ]]'
    )
    sandbox.tool(
        "outer-python",
        f"""
        mkdir -p $3/bin
        cp {sandbox.tools}/inner-python $3/bin/python
        cp {sandbox.tools}/inner-uv $3/bin/uv
        """,
    )
    return "python=outer-python; python_version=3.11.2; make_venv"


def test_the_virtual_environment_is_made_once_and_again_when_a_requirement_changes(sandbox: Sandbox) -> None:
    make_requirements(sandbox)
    script = sourced(pretend_python(sandbox))
    log = sandbox.folder / "log"
    sandbox.bash(script)
    made = log.read_text()
    assert f"pip sync --python {sandbox.root}/.venv/bin/python --require-hashes" in made
    assert "--no-deps --no-build-isolation --editable" in made
    assert ".venv: up to date" in sandbox.bash(script)
    assert log.read_text() == made
    (sandbox.root / "requirements" / "dev.txt").write_text("pinned==2\n")
    sandbox.bash(script)
    assert log.read_text() != made


def test_a_failed_sync_is_done_again_next_time(sandbox: Sandbox) -> None:
    make_requirements(sandbox)
    script = sourced(pretend_python(sandbox))
    (sandbox.folder / "fail").touch()
    assert "the requirements could not be installed" in sandbox.bash(script, status=1)
    (sandbox.folder / "fail").unlink()
    assert "up to date" not in sandbox.bash(script)
    assert "up to date" in sandbox.bash(script)


def test_a_lock_that_lacks_something_is_told_by_bootstrap(sandbox: Sandbox) -> None:
    """A sync installs what is locked, and does not notice."""
    make_requirements(sandbox)
    script = sourced(pretend_python(sandbox))
    sandbox.tool("inner-uv", '[[ $2 != check ]] || { echo "a requires b, but it is not installed"; exit 1; }')
    answer = sandbox.bash(script, status=1)
    assert "a requires b" in answer
    assert "the locked requirements do not fit together" in answer


def test_pips_index_is_handed_on_to_uv(sandbox: Sandbox) -> None:
    make_requirements(sandbox)
    sandbox.env["PIP_INDEX_URL"] = "http://mirror.invalid/simple"
    sandbox.bash(sourced(pretend_python(sandbox)))
    assert "index=http://mirror.invalid/simple" in (sandbox.folder / "log").read_text()


def test_an_index_that_uv_has_already_stays(sandbox: Sandbox) -> None:
    make_requirements(sandbox)
    sandbox.env |= {"PIP_INDEX_URL": "http://pips.invalid", "UV_DEFAULT_INDEX": "http://uvs.invalid"}
    sandbox.bash(sourced(pretend_python(sandbox)))
    assert "index=http://uvs.invalid" in (sandbox.folder / "log").read_text()


def test_a_new_enough_cli_of_the_vendors_is_used_and_replaces_our_engine(sandbox: Sandbox) -> None:
    sandbox.tool("pulumi", "echo v3.260.1")
    sandbox.tool("pulumi-language-python", "")
    sandbox.write(sandbox.root / ".state/bin/pulumi", "echo v3.259.0")
    sandbox.write(sandbox.root / ".state/bin/pulumi-language-python", "")
    answer = sandbox.bash(sourced("get_engine"))
    assert f"the vendor's CLI, {sandbox.tools}/pulumi v3.260.1" in answer
    assert list((sandbox.root / ".state/bin").iterdir()) == []


@pytest.mark.parametrize(("version", "host"), [("v3.258.0", True), ("v3.260.0", False)])
def test_a_cli_that_is_too_old_or_has_no_language_host_is_not_used(sandbox: Sandbox, version: str, host: bool) -> None:
    sandbox.tool("pulumi", f"echo {version}")
    if host:
        sandbox.tool("pulumi-language-python", "")
    sandbox.write(sandbox.root / "scripts/engine/install", "echo our own")
    assert sandbox.bash(sourced("get_engine")) == "our own\n"


def test_two_bootstraps_in_one_checkout_take_turns(sandbox: Sandbox) -> None:
    steps = "check_machine() { python=python3; }; install_packages() { :; }; make_venv() { :; }"
    file = sandbox.folder / "in"
    waits = f"get_engine() {{ touch {file}; while [[ -f {file} ]]; do sleep 0.02; done; }}"
    first = sandbox.start("bash", "-c", sourced(f"{steps}; {waits}; main"))
    until(first, (sandbox.folder / "in").exists)
    second = sandbox.start("bash", "-c", sourced(f"{steps}; get_engine() {{ :; }}; main"))
    assert second.stdout is not None
    assert "waiting for it" in second.stdout.readline()
    (sandbox.folder / "in").unlink()
    assert second.wait(30) == 0
    assert first.wait(30) == 0


LONGEST = "/".join(["ö" * 99, "x" * 99])
"""199 characters, and the slash before them."""


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("rök %d 'x'", ""),
        ("a checkout (2) & more, @home=~", ""),
        (LONGEST, ""),
        (f"{LONGEST}x", "is 201 characters long"),
        ("a:b", "holds :"),
        ('say "no" $1', 'holds " $'),
        ("a\u202eb", "cannot be printed"),
        ("a\tb", "cannot be printed"),
        ("\udcff", "is no UTF-8"),
    ],
)
def test_finding_17_a_path_that_cannot_work_is_refused_before_anything_is_made(
    sandbox: Sandbox, path: str, said: str
) -> None:
    """Audit 17: in /home/jörg `up` failed, and what it had started stayed for ever."""
    script = sourced(f"root={shlex.quote('/' + path)}; python=python3; check_path; echo fine")
    assert (said or "fine") in sandbox.bash(script, status=1 if said else 0)


def test_a_checkout_that_cannot_be_written_to_is_said(sandbox: Sandbox) -> None:
    """Audit, low: a raw "Read-only file system". /proc/sys/net is one that root cannot write to either."""
    answer = sandbox.bash(sourced("root=/proc/sys/net; check_writable"), status=1)
    assert "cannot be written to" in answer
    assert "there is no HOME" in sandbox.bash(sourced("unset HOME XDG_CACHE_HOME; check_writable"), status=1)


def test_the_pins_agree() -> None:
    """The engine that is built, the least one that is accepted and the SDK are one version."""
    install = (CHECKOUT / "scripts" / "engine" / "install").read_text()
    module = (CHECKOUT / "scripts" / "engine" / "go.mod").read_text()
    assert "\nversion=3.259.0\n" in install
    assert "github.com/pulumi/pulumi/pkg/v3 v3.259.0\n" in module
    assert "github.com/pulumi/pulumi/sdk/v3 v3.259.0\n" in module
    assert "\nleast_engine=3.259.0\n" in (CHECKOUT / "scripts" / "bootstrap").read_text()
    assert "\npulumi==3.259.0 " in Path(CHECKOUT / "policies" / "requirements.txt").read_text()
