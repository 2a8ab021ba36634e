"""What scripts/pulumi gives Pulumi: environment, passphrase, and the copy of a stack's config."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from providers.renting.memory.place import stack_folder
from scripts.crossover.stack.engine import IN_ADDRESS
from tests.support.scripts import Sandbox

CONFIG = "# a comment\nconfig:\n    crossover:x: 1"


@pytest.fixture
def engine(sandbox: Sandbox) -> Sandbox:
    """An engine that prints its arguments and its environment; its selected stack is `selected`."""
    print_environment(sandbox)
    return sandbox


def print_environment(sandbox: Sandbox) -> None:
    sandbox.write(
        sandbox.root / ".state/bin/pulumi",
        """
        [[ "$*" != 'stack --show-name' ]] || { echo selected; exit; }
        exec python3 -c 'import json, os, sys; print(json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]))' "$@"
        """,
    )


def ran(sandbox: Sandbox, *arguments: str) -> tuple[list[str], str, dict[str, str]]:
    """The arguments, the folder and the environment that the engine saw."""
    seen: list[Any] = json.loads(sandbox.run("scripts/pulumi", *arguments))
    return seen[0], seen[1], seen[2]


def commit_config(sandbox: Sandbox, stack: str = "local", text: str = CONFIG) -> Path:
    path = sandbox.root / "stacks" / "config" / f"Pulumi.{stack}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def keep_salt(sandbox: Sandbox, stack: str = "local") -> None:
    path = sandbox.root / ".state" / "stack-init" / f"Pulumi.{stack}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("encryptionsalt: v1:kept\n")


def test_a_checkout_has_a_backend_a_home_and_a_passphrase_of_its_own(engine: Sandbox) -> None:
    arguments, folder, environ = ran(engine, "whoami", "-v")
    state = engine.root / ".state"
    assert (arguments, folder) == (["whoami", "-v"], str(engine.root))
    assert environ["PULUMI_BACKEND_URL"] == f"file://{state}/pulumi"
    assert environ["PULUMI_HOME"] == f"{state}/pulumi-home"
    assert environ["PULUMI_CONFIG_PASSPHRASE_FILE"] == f"{state}/passphrase"
    assert environ["PULUMI_SKIP_UPDATE_CHECK"] == "true"
    assert environ["PULUMI_PARALLEL"] == "64"
    assert environ["PATH"].startswith(f"{state}/bin:{engine.root}/.venv/bin:")


def test_finding_17_a_folders_name_stands_in_the_backends_address_as_it_is_read(
    tmp_path: Path,
) -> None:
    """Audit 17: three characters mean something in a URL (RFC 3986), and crossover looks for the stack by it."""
    sandbox = Sandbox(tmp_path / "rök %d #1? 'x'")
    print_environment(sandbox)
    address = ran(sandbox, "whoami")[2]["PULUMI_BACKEND_URL"]
    assert unquote(address) == f"file://{sandbox.root}/.state/pulumi"
    assert address == f"file://{str(sandbox.root).translate(IN_ADDRESS)}/.state/pulumi"
    folder = stack_folder("p", "s", {"PULUMI_BACKEND_URL": address})
    assert folder == sandbox.root / ".state/pulumi/.crossover/p/s"


def test_the_passphrase_is_random_private_and_kept(engine: Sandbox) -> None:
    """32 random bytes, in base64."""
    ran(engine, "whoami")
    path = engine.root / ".state" / "passphrase"
    passphrase = path.read_text()
    assert len(passphrase) == 44
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    ran(engine, "whoami")
    assert path.read_text() == passphrase
    assert list(path.parent.glob("passphrase*")) == [path]


def test_finding_22_what_it_writes_is_its_users_alone_whatever_the_umask(engine: Sandbox) -> None:
    """Audit 22: state files and history were 0644, and with umask 000 everybody could write them."""
    kept = engine.root / ".state/pulumi/.pulumi/stacks/crossover/local.json"
    kept.parent.mkdir(parents=True)
    kept.write_text("{}")
    kept.chmod(0o666)
    commit_config(engine)
    engine.bash("umask 000; exec scripts/pulumi preview -s local >/dev/null")
    state = engine.root / ".state"
    made = [state, *(path for path in state.rglob("*") if "bin" not in path.parts)]
    assert kept in made
    assert state / "config/Pulumi.local.yaml" in made
    assert {path: stat.S_IMODE(path.stat().st_mode) & 0o077 for path in made} == dict.fromkeys(made, 0)


def test_states_on_another_disk_are_made_private_too(engine: Sandbox) -> None:
    """`.state/pulumi` is a link then."""
    kept = engine.folder / "other disk" / "stacks" / "local.json"
    kept.parent.mkdir(parents=True)
    kept.write_text("{}")
    kept.chmod(0o644)
    (engine.root / ".state").mkdir(exist_ok=True)
    (engine.root / ".state/pulumi").symlink_to(engine.folder / "other disk")
    ran(engine, "whoami")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_what_is_private_already_is_not_touched(engine: Sandbox) -> None:
    """An engine that is at work renames its files meanwhile: on one that is gone, chmod fails, and so did this."""
    engine.bash("umask 077; mkdir -p .state/pulumi/.pulumi/stacks; touch .state/pulumi/.pulumi/stacks/local.json")
    engine.tool("chmod", f'echo "$*" >>{engine.folder}/changed; exec /bin/chmod "$@"')
    ran(engine, "whoami")
    assert (engine.folder / "changed").read_text() == f"700 {engine.root}/.state\n"


def test_two_first_runs_agree_on_one_passphrase(engine: Sandbox) -> None:
    processes = [engine.start("scripts/pulumi", "whoami") for _ in range(8)]
    assert [process.wait(30) for process in processes] == [0] * 8
    assert len((engine.root / ".state" / "passphrase").read_text()) == 44


def test_it_works_from_any_folder_and_through_a_link(engine: Sandbox) -> None:
    (engine.tools / "crossover-pulumi").symlink_to(engine.root / "scripts" / "pulumi")
    seen = json.loads(engine.bash("cd / && crossover-pulumi whoami"))
    assert seen[1] == str(engine.root)


@pytest.mark.parametrize("name", ["PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"])
def test_a_passphrase_of_the_users_own_is_kept(engine: Sandbox, name: str) -> None:
    """An empty PULUMI_CONFIG_PASSPHRASE counts as one: Pulumi takes it as such."""
    engine.env[name] = "" if name == "PULUMI_CONFIG_PASSPHRASE" else "mine"
    _, _, environ = ran(engine, "whoami")
    assert environ[name] == engine.env[name]
    assert not (engine.root / ".state" / "passphrase").exists()


def test_with_a_backend_of_the_users_own_nothing_of_ours_is_added(engine: Sandbox) -> None:
    engine.env["PULUMI_BACKEND_URL"] = "s3://bucket"
    file = commit_config(engine)
    arguments, _, environ = ran(engine, "up", "--stack", "local")
    assert environ["PULUMI_BACKEND_URL"] == "s3://bucket"
    names = {"PULUMI_HOME", "PULUMI_CONFIG_PASSPHRASE_FILE", "PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER"}
    assert not names & set(environ)
    assert arguments == ["up", "--stack", "local"]
    assert file.read_text() == CONFIG


def test_other_variables_of_the_users_win(engine: Sandbox) -> None:
    mine = {"PULUMI_HOME": "/mine", "PULUMI_PARALLEL": "1", "PULUMI_SKIP_UPDATE_CHECK": "false"}
    engine.env |= mine
    _, _, environ = ran(engine, "whoami")
    assert mine.items() <= environ.items()


def test_without_an_engine_it_says_what_to_run(sandbox: Sandbox) -> None:
    assert "there is no engine yet: run scripts/bootstrap" in sandbox.run("scripts/pulumi", "up", status=1)


@pytest.mark.parametrize("operation", ["up", "update", "preview", "refresh", "destroy", "import", "watch"])
@pytest.mark.parametrize("naming", [["-s", "local"], ["--stack", "local"], ["--stack=local"], ["-s", "org/p/local"]])
def test_an_operation_gets_a_copy_with_the_salt(engine: Sandbox, operation: str, naming: list[str]) -> None:
    file = commit_config(engine)
    keep_salt(engine)
    arguments, _, _ = ran(engine, operation, *naming, "--yes")
    copy = engine.root / ".state" / "config" / "Pulumi.local.yaml"
    assert arguments == [operation, *naming, "--yes", "--config-file", str(copy)]
    assert copy.read_text() == f"{CONFIG}\nencryptionsalt: v1:kept\n"
    assert file.read_text() == CONFIG


def test_without_a_named_stack_the_selected_one_counts(engine: Sandbox) -> None:
    commit_config(engine, "selected")
    arguments, _, _ = ran(engine, "preview")
    assert arguments[-1].endswith("/.state/config/Pulumi.selected.yaml")


@pytest.mark.parametrize("line", ["encryptionsalt: v1:own", "secretsprovider: awskms://alias/x", "encryptedkey: x"])
def test_a_config_with_secrets_of_its_own_is_used_as_it_is(engine: Sandbox, line: str) -> None:
    commit_config(engine, text=f"{CONFIG}\n{line}\n")
    assert ran(engine, "up", "-s", "local")[0] == ["up", "-s", "local"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["config", "set", "x", "2", "-s", "local"],
        ["stack", "output", "-s", "local"],
        ["stack", "import", "-s", "local"],
        ["up", "-s", "local", "--config-file", "mine.yaml"],
        ["up", "-s", "another"],
        ["cancel", "--yes", "-s", "local"],
    ],
)
def test_everything_else_is_passed_on_untouched(engine: Sandbox, arguments: list[str]) -> None:
    """`config set` edits the committed file; a stack without a file has nothing to copy."""
    commit_config(engine)
    assert ran(engine, *arguments)[0] == arguments


OPERATIONS = ("up", "preview", "refresh", "destroy", "import x", "stack init dev", "state delete")
QUESTIONS = ("stack export", "stack ls", "stack output", "cancel", "config")


@pytest.mark.parametrize("operation", OPERATIONS)
def test_nothing_that_writes_the_state_begins_on_a_full_disk(engine: Sandbox, operation: str) -> None:
    """Audit 7: half a state is one that no command can read."""
    commit_config(engine)
    engine.env["CROSSOVER_LEAST_FREE_MIB"] = str(2**40)
    refused = engine.run("scripts/pulumi", *operation.split(), status=1)
    assert f"MiB free, and {2**40} are needed" in refused
    assert "Make room" in refused


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_full_disk_keeps_nobody_from_looking(engine: Sandbox, question: str) -> None:
    engine.env["CROSSOVER_LEAST_FREE_MIB"] = str(2**40)
    assert ran(engine, *question.split())[0] == question.split()


def test_a_preview_that_prints_secrets_is_asked_for_into_a_file_without_a_name_alone(engine: Sandbox) -> None:
    """Else the variable is taken away, and somebody is told why."""
    asked = "PULUMI_ENABLE_STREAMING_JSON_PREVIEW"
    shown = engine.bash(f"{asked}=true scripts/pulumi preview --json -s local 2>said; cat said")
    assert asked not in json.loads(shown.splitlines()[0])[2]
    assert f"{asked} is not heeded" in shown
    with_a_name = engine.bash(f"{asked}=true scripts/pulumi preview --json >shown 2>/dev/null; cat shown")
    assert asked not in json.loads(with_a_name)[2]
    nameless = engine.bash(f"exec 3>shown 4<shown; rm shown; {asked}=true scripts/pulumi preview --json >&3; cat <&4")
    assert json.loads(nameless)[2][asked] == "true"
