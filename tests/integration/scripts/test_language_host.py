"""The language host as a process, against an engine that is a gRPC server in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto import language_pb2, language_pb2_grpc

from tests.support.eventually import DEADLINE_S, eventually
from tests.support.scripts import alive

HOST = Path(__file__).resolve().parents[3] / "scripts" / "engine" / "language_host.py"
ENGINE = """
import time, grpc
from concurrent.futures import ThreadPoolExecutor
server = grpc.server(ThreadPoolExecutor(1))
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
time.sleep(600)
"""


@dataclass
class Setup:
    engine: subprocess.Popen[str]
    host: subprocess.Popen[str]
    stub: Any
    folder: Path

    def info(self, program: str = "program", **options: str) -> Any:
        chosen = Struct()
        chosen.update(options or {"virtualenv": sys.prefix})
        return language_pb2.ProgramInfo(
            root_directory=str(self.folder),
            program_directory=str(self.folder / program),
            entry_point=".",
            options=chosen,
        )

    def plugin(self, source: str) -> Any:
        """A call of RunPlugin for a resource plugin whose __main__.py is `source`."""
        (self.folder / "plugin").mkdir()
        (self.folder / "plugin" / "__main__.py").write_text(source)
        request = language_pb2.RunPluginRequest(
            pwd=str(self.folder),
            kind="resource",
            args=["127.0.0.1:1"],
            env=["GREETING=hello=world", f"PATH={os.environ['PATH']}"],
            info=self.info("plugin"),
        )
        return self.stub.RunPlugin(request)

    def sleeping_plugin(self) -> tuple[Any, int, int]:
        """A plugin that sleeps, with a child that sleeps: the call and both process ids."""
        source = """
            import os, subprocess, sys, time
            child = subprocess.Popen(["sleep", "600"])
            os.write(1, f"{os.getpid()} {child.pid}".encode())
            time.sleep(600)
        """
        call = self.plugin("\n".join(line.strip() for line in source.splitlines()))
        pid, child = next(call).stdout.split()
        return call, int(pid), int(child)

    def run(self, executor: str) -> Any:
        """Run a program through `executor`, a stand-in for the vendor's script."""
        (self.folder / "bin" / "pulumi-language-python-exec").write_text(executor)
        return self.stub.Run(
            language_pb2.RunRequest(
                project="p",
                stack="s",
                monitor_address="127.0.0.1:2",
                pwd=str(self.folder),
                dryRun=True,
                parallel=64,
                organization="organization",
                config={"p:x": "1"},
                configSecretKeys=["p:y"],
                info=self.info(),
            )
        )


@pytest.fixture
def setup(tmp_path: Path) -> Iterator[Setup]:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "pulumi-language-python-exec").touch(mode=0o755)
    engine = subprocess.Popen([sys.executable, "-c", ENGINE], stdout=subprocess.PIPE, text=True)
    assert engine.stdout is not None
    port = int(engine.stdout.readline())
    host = subprocess.Popen(
        [sys.executable, str(HOST), f"127.0.0.1:{port}"],
        stdout=subprocess.PIPE,
        stderr=(tmp_path / "stderr").open("w"),
        text=True,
        env={**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"},
        process_group=0,
    )
    assert host.stdout is not None
    with grpc.insecure_channel(f"127.0.0.1:{int(host.stdout.readline())}") as channel:
        yield Setup(engine, host, language_pb2_grpc.LanguageRuntimeStub(channel), tmp_path)
    for process in (host, engine):
        process.kill()
        process.wait()


def test_it_tells_its_version(setup: Setup) -> None:
    """The version is the SDK's, which the engine's is pinned to."""
    assert setup.stub.GetPluginInfo(empty_pb2.Empty()).version == "3.259.0"
    assert list(setup.stub.GetRequiredPackages(language_pb2.GetRequiredPackagesRequest()).packages) == []


def test_about_names_the_python_of_the_options(setup: Setup) -> None:
    answer = setup.stub.About(language_pb2.AboutRequest(info=setup.info()))
    assert (answer.executable, answer.version) == (f"{sys.prefix}/bin/python", sys.version.split()[0])


def test_dependencies_are_those_of_the_virtualenv(setup: Setup) -> None:
    """All of them when asked for the transitive ones, else only those that no other one needs."""

    def names(transitive: bool) -> set[str]:
        request = language_pb2.GetProgramDependenciesRequest(info=setup.info(), transitiveDependencies=transitive)
        return {dependency.name for dependency in setup.stub.GetProgramDependencies(request).dependencies}

    assert "grpcio" in names(True)
    assert "grpcio" not in names(False)  # pulumi needs it
    assert names(False) < names(True)


def test_installing_dependencies_refers_to_the_bootstrap(setup: Setup) -> None:
    [answer] = setup.stub.InstallDependencies(language_pb2.InstallDependenciesRequest(info=setup.info()))
    assert b"scripts/bootstrap" in answer.stdout


def test_an_option_that_cannot_be_followed_is_a_message(setup: Setup) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        setup.stub.About(language_pb2.AboutRequest(info=setup.info(virtualenv="missing")))
    assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert "'missing'" in caught.value.details()


def test_a_program_gets_its_flags_and_its_configuration(setup: Setup) -> None:
    """The flags are `pulumi-language-python-exec`'s, the two variables are the SDK's (pulumi/runtime/config.py)."""
    seen = setup.folder / "seen"
    answer = setup.run(f"import json, os, sys; json.dump([sys.argv[1:], dict(os.environ)], open({str(seen)!r}, 'w'))")
    assert (answer.error, answer.bail) == ("", False)
    arguments, environ = json.loads(seen.read_text())
    flags = dict(zip(arguments[:-1:2], arguments[1:-1:2], strict=True))
    assert arguments[-1] == "."
    assert flags == {
        "--monitor": "127.0.0.1:2",
        "--engine": flags["--engine"],
        "--project": "p",
        "--stack": "s",
        "--pwd": str(setup.folder),
        "--dry_run": "true",
        "--parallel": "64",
        "--organization": "organization",
        "--root_directory": str(setup.folder),
    }
    assert json.loads(environ["PULUMI_CONFIG"]) == {"p:x": "1"}
    assert json.loads(environ["PULUMI_CONFIG_SECRET_KEYS"]) == ["p:y"]
    assert environ["VIRTUAL_ENV"] == sys.prefix


@pytest.mark.parametrize(
    ("code", "bail", "error"),
    [(0, False, ""), (32, True, ""), (1, False, "Program exited with non-zero exit code: 1")],
)
def test_exit_code_32_means_that_the_user_has_seen_the_error(setup: Setup, code: int, bail: bool, error: str) -> None:
    answer = setup.run(f"raise SystemExit({code})")
    assert (answer.bail, answer.error) == (bail, error)


def test_a_plugins_output_is_streamed_and_its_exit_code_comes_last(setup: Setup) -> None:
    answers = list(
        setup.plugin("import os, sys; print(sys.argv[1:], os.environ['GREETING']); sys.stderr.write('oh'); sys.exit(3)")
    )
    assert b"".join(a.stdout for a in answers) == b"['127.0.0.1:1'] hello=world\n"
    assert b"".join(a.stderr for a in answers) == b"oh"
    assert answers[-1].exitcode == 3


def test_a_policy_pack_runs_through_the_sdks_module(setup: Setup) -> None:
    """`python -m pulumi.policy ENGINE FOLDER`, which runs FOLDER/__main__.py."""
    (setup.folder / "pack").mkdir()
    (setup.folder / "pack" / "__main__.py").write_text("print('the pack runs')")
    request = language_pb2.RunPluginRequest(
        kind="analyzer", args=["127.0.0.1:1"], info=setup.info("pack"), env=[f"PATH={os.environ['PATH']}"]
    )
    answers = list(setup.stub.RunPlugin(request))
    assert b"".join(a.stdout for a in answers) == b"the pack runs\n"
    assert answers[-1].exitcode == 0


def test_cancelling_the_call_ends_the_plugin_and_what_it_started(setup: Setup) -> None:
    call, plugin, child = setup.sleeping_plugin()
    call.cancel()
    eventually(lambda: not alive(plugin) and not alive(child), "the plugin and its child end")
    assert setup.host.poll() is None


def test_a_plugin_that_ignores_sigterm_is_killed(setup: Setup) -> None:
    call = setup.plugin(
        "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "os.write(1, str(os.getpid()).encode()); time.sleep(600)"
    )
    plugin = int(next(call).stdout)
    call.cancel()
    eventually(lambda: not alive(plugin), "the plugin ends")


def test_it_ends_with_all_its_processes_when_the_engine_is_killed(setup: Setup) -> None:
    _call, plugin, child = setup.sleeping_plugin()
    setup.engine.send_signal(signal.SIGKILL)
    setup.engine.wait()
    setup.host.wait(DEADLINE_S)
    eventually(lambda: not alive(plugin) and not alive(child), "the plugin and its child end")


def test_it_ends_when_the_engine_was_never_there() -> None:
    """An engine that died before the first connection."""
    done = subprocess.run(
        [sys.executable, str(HOST), "127.0.0.1:9"], capture_output=True, text=True, timeout=DEADLINE_S
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_its_processes_and_without_a_traceback(setup: Setup, sign: signal.Signals) -> None:
    """The engine sends SIGINT to the host's whole process group."""
    _call, plugin, child = setup.sleeping_plugin()
    os.killpg(setup.host.pid, sign)
    assert setup.host.wait(DEADLINE_S) == 0
    eventually(lambda: not alive(plugin) and not alive(child), "the plugin and its child end")
    assert (setup.folder / "stderr").read_text() == ""


def test_a_signal_while_a_cancelled_call_still_ends_its_plugin_prints_nothing(setup: Setup) -> None:
    """After Ctrl-C the engine cancels its calls and then ends the host: gRPC's own tasks must not be cut short."""
    call = setup.plugin(
        "import os, pathlib, signal, time; signal.signal(signal.SIGTERM, lambda *_: pathlib.Path('asked').touch())\n"
        "os.write(1, str(os.getpid()).encode())\n"
        "while True: time.sleep(600)"
    )
    plugin = int(next(call).stdout)
    call.cancel()
    eventually(lambda: (setup.folder / "asked").exists(), "the plugin is asked to end")
    os.killpg(setup.host.pid, signal.SIGINT)
    assert setup.host.wait(DEADLINE_S) == 0
    eventually(lambda: not alive(plugin), "the plugin ends")
    assert (setup.folder / "stderr").read_text() == ""


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_nothing_outlives_it_also_what_ignores_sigterm(setup: Setup, sign: signal.Signals) -> None:
    """A survivor would hold the host's output pipe open, and the engine, which reads it to its end, would hang."""
    call = setup.plugin(
        "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "os.write(1, str(os.getpid()).encode()); time.sleep(600)"
    )
    plugin = int(next(call).stdout)
    os.killpg(setup.host.pid, sign)
    assert setup.host.wait(DEADLINE_S) == 0
    eventually(lambda: not alive(plugin), "the plugin ends")


STUCK = """
import sys, time

class Stuck:
    def find_spec(self, name, *_):
        if name == "grpc":
            print("importing grpc", flush=True)
            time.sleep(600)

sys.meta_path.insert(0, Stuck())
"""


def test_an_interrupt_while_it_starts_prints_nothing(tmp_path: Path) -> None:
    """SIGINT in the middle of the imports ends it as it ends any program, with no KeyboardInterrupt on the screen."""
    (tmp_path / "sitecustomize.py").write_text(STUCK)
    process = subprocess.Popen(
        [sys.executable, str(HOST), "127.0.0.1:9"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)}, stderr=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == b"importing grpc\n"
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == -signal.SIGINT
    assert b"Traceback" not in stderr
