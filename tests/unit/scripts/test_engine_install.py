"""scripts/engine/install, with a `go` that only pretends."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.support.scripts import Sandbox, until

INSTALL = "scripts/engine/install"
ENGINE = "#!/bin/bash\\necho v3.259.0\\n"


def cache(sandbox: Sandbox) -> Path:
    return sandbox.home / ".cache" / "crossover" / "engine"


def pretend_go(sandbox: Sandbox, build: str = "", version: str = "go1.26.8", engine: str = ENGINE) -> None:
    """A `go` that runs `build` and then writes `engine` to the file after -o."""
    sdk = sandbox.folder / "sdk"
    for name in ("python/dist/pulumi-resource-pulumi-python", "python/cmd/pulumi-language-python-exec"):
        (sdk / name).parent.mkdir(parents=True, exist_ok=True)
        (sdk / name).touch(mode=0o444)
    sandbox.tool(
        "go",
        f"""
        echo "go $* GOFLAGS=$GOFLAGS" >>{sandbox.folder}/log
        case $1 in
            env) echo {version} ;;
            list) echo {sdk} ;;
            build)
                {build or ":"}
                while [[ $1 != -o ]]; do shift; done
                printf '{engine}' >"$2"; chmod +x "$2" ;;
        esac
        """,
    )


@pytest.fixture
def offline(sandbox: Sandbox) -> Sandbox:
    """What fetches without a lock leaves a trace, and fails."""
    for name in ("curl", "wget"):
        sandbox.tool(name, f"echo {name} >>{sandbox.folder}/fetched; exit 6")
    return sandbox


def nothing_half_written(sandbox: Sandbox) -> bool:
    left = [path.name for path in cache(sandbox).iterdir()] if cache(sandbox).exists() else []
    return not [name for name in left if name != "lock"] and not (sandbox.root / ".state/bin/pulumi").exists()


def test_it_builds_from_locked_modules_and_fetches_nothing_else(offline: Sandbox) -> None:
    """Audit E: the vendor's installer ran from the network without a checksum."""
    pretend_go(offline)
    answer = offline.run(INSTALL)
    assert not (offline.folder / "fetched").exists()
    assert "building 3.259.0 from Go modules" in answer
    names = {"pulumi", "pulumi-resource-pulumi-python", "pulumi-language-python-exec"}
    assert {path.name for path in (cache(offline) / "3.259.0").iterdir()} == names
    bin_ = offline.root / ".state" / "bin"
    assert {path.name for path in bin_.iterdir()} == names | {"pulumi-language-python", ".from"}
    assert all(os.access(path, os.X_OK) for path in bin_.iterdir() if path.name != ".from")
    assert "-mod=readonly" in (offline.folder / "log").read_text()


def test_the_engine_is_a_hard_link_because_a_symbolic_one_makes_it_warn(offline: Sandbox) -> None:
    """It looks for its language host beside its real path (sdk/v3 go/common/workspace/plugins.go)."""
    pretend_go(offline)
    offline.run(INSTALL)
    assert (offline.root / ".state/bin/pulumi").samefile(cache(offline) / "3.259.0" / "pulumi")
    assert not (offline.root / ".state/bin/pulumi").is_symlink()


def test_the_second_run_builds_nothing(offline: Sandbox) -> None:
    pretend_go(offline)
    offline.run(INSTALL)
    offline.tool("go", "exit 1")
    assert "3.259.0, built before" in offline.run(INSTALL)


def test_another_checkout_of_the_user_takes_the_same_engine(offline: Sandbox, tmp_path: Path) -> None:
    pretend_go(offline)
    offline.run(INSTALL)
    other = Sandbox(tmp_path / "other", env={"XDG_CACHE_HOME": str(offline.home / ".cache")})
    other.run(INSTALL)
    assert (other.root / ".state/bin/pulumi").samefile(offline.root / ".state/bin/pulumi")


def test_a_missing_go_is_named_with_the_version_that_is_needed(offline: Sandbox) -> None:
    answer = offline.bash(
        'command() { [[ $2 != go ]] && builtin command "$@"; }; source scripts/engine/install; main', status=1
    )
    assert "Go is missing: install Go 1.25.11 or newer, or put the Pulumi CLI 3.259.0" in answer
    assert nothing_half_written(offline)


def test_a_go_that_is_too_old_is_named_with_the_version_that_is_needed(offline: Sandbox) -> None:
    pretend_go(offline, version="go1.19.8")
    answer = offline.run(INSTALL, status=1)
    assert "this is Go 1.19.8: install 1.25.11 or newer" in answer
    assert nothing_half_written(offline)


def test_a_build_that_fails_shows_why_and_leaves_nothing(offline: Sandbox) -> None:
    """Not even what it had written already."""
    pretend_go(offline, build='printf half >"${@: -2:1}"; echo no space left on device >&2; exit 1')
    answer = offline.run(INSTALL, status=1)
    assert "| no space left on device" in answer
    assert "the engine could not be built" in answer
    assert nothing_half_written(offline)
    pretend_go(offline)
    offline.run(INSTALL)


def test_modules_that_cannot_be_had_are_a_message_that_names_the_proxy(offline: Sandbox) -> None:
    pretend_go(offline, build="echo 'module.example: 403 Forbidden' >&2; exit 1")
    answer = offline.run(INSTALL, status=1)
    assert "| module.example: 403 Forbidden" in answer
    assert "is a proxy reachable? (go env GOPROXY)" in answer
    assert nothing_half_written(offline)


def test_a_build_of_another_version_is_not_taken(offline: Sandbox) -> None:
    pretend_go(offline, engine="#!/bin/bash\\necho v0.0.0\\n")
    assert "does not say that it is v3.259.0" in offline.run(INSTALL, status=1)
    assert nothing_half_written(offline)


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_build_leaves_no_engine_and_can_be_run_again(offline: Sandbox, sign: signal.Signals) -> None:
    """Neither in the cache under its name nor in the checkout; what a killed one left goes with the next run."""
    pretend_go(offline, build=f": >{offline.folder}/building; exec sleep 600")
    process = offline.start(INSTALL)
    until(process, (offline.folder / "building").exists)
    os.killpg(process.pid, sign)
    assert process.wait(30) != 0
    assert not (cache(offline) / "3.259.0").exists()
    assert not (offline.root / ".state/bin/pulumi").exists()
    pretend_go(offline)
    offline.run(INSTALL)
    assert {path.name for path in cache(offline).iterdir()} == {"3.259.0", "lock"}


def test_an_engine_that_no_longer_runs_is_built_again(offline: Sandbox) -> None:
    pretend_go(offline)
    offline.run(INSTALL)
    (cache(offline) / "3.259.0" / "pulumi").write_text("")
    assert "building 3.259.0" in offline.run(INSTALL)


def test_of_two_at_once_one_builds_and_the_other_takes_it(offline: Sandbox) -> None:
    pretend_go(
        offline, build=f"touch {offline.folder}/building; while [[ -f {offline.folder}/building ]]; do sleep 0.02; done"
    )
    first = offline.start(INSTALL)
    until(first, (offline.folder / "building").exists)
    second = offline.start(INSTALL)
    assert second.stdout is not None
    assert "another bootstrap of this user is at it; waiting" in second.stdout.readline()
    (offline.folder / "building").unlink()
    output, _ = second.communicate(timeout=30)
    assert first.wait(30) == 0
    assert "built before" in output
