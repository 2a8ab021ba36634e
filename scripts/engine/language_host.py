"""`pulumi-language-python` for machines without the vendor's CLI: a gRPC server that runs Python for the engine.

Usage: language_host.py [flags] ENGINE_ADDRESS. It prints its port and serves `LanguageRuntime` until SIGINT, SIGTERM,
or until nothing answers at the engine's address any more; every process that it started ends with it.
"""
# ruff: noqa: E402 - the default action of SIGINT comes before the slow imports, or an early Ctrl-C is a traceback

import signal

signal.signal(signal.SIGINT, signal.SIG_DFL)

import asyncio
import json
import logging
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2

from scripts.engine.toolchain import Interpreter, ToolchainError, resolve
from strict.engine.alive import when_gone
from strict.engine.callers import LOOPBACK, AsyncGuard

PROGRAM_ALREADY_REPORTED = 32
"""`pulumi-language-python-exec` exits with it when the user has seen the error already."""
GRACE_SECONDS = 3.0
"""Between SIGTERM and SIGKILL; the engine itself kills this process five seconds after its SIGINT."""

_LIST_PACKAGES = """
import importlib.metadata, json, re, sys
key = lambda name: re.sub(r"[-_.]+", "-", name).lower()
found = {key(d.name): d for d in importlib.metadata.distributions() if d.name}
needed = {key(re.match(r"[\\w.-]+", r)[0]) for d in found.values() for r in d.requires or ()}
print(json.dumps({n: d.version for n, d in found.items() if "--all" in sys.argv or n not in needed}))
"""


def interpreter(info: Any) -> Interpreter:
    """The Python that `info` (a ProgramInfo: Pulumi.yaml's, PulumiPlugin.yaml's or PulumiPolicy.yaml's) asks for."""
    options = MessageToDict(info.options)
    return resolve(Path(info.root_directory), Path(info.program_directory), options, os.environ)


_children: set[asyncio.subprocess.Process] = set()
"""Those that have not been seen to end, each the leader of its process group."""


@asynccontextmanager
async def child(*command: str, **kwargs: Any) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run `command` as the leader of a process group, which is ended when the block is left, however it is left."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, process_group=0, **kwargs
    )
    _children.add(process)
    try:
        yield process
    finally:
        await asyncio.shield(_end(process))
        _children.discard(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    for sign in (signal.SIGTERM, signal.SIGKILL):
        _signal(process.pid, sign)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), GRACE_SECONDS)
            return


def _signal(group: int, sign: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, sign)


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer):
    """What the engine asks of a language. Calls that are not here answer UNIMPLEMENTED, which the engine accepts."""

    def __init__(self) -> None:
        self.engine_address: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def Handshake(self, request: Any, context: Any) -> Any:
        if not self.engine_address.done():
            self.engine_address.set_result(request.engine_address)
        return language_pb2.LanguageHandshakeResponse()

    async def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=version("pulumi"))

    async def GetRequiredPackages(self, request: Any, context: Any) -> Any:
        return language_pb2.GetRequiredPackagesResponse()

    async def InstallDependencies(self, request: Any, context: Any) -> AsyncIterator[Any]:
        message = "Dependencies are installed by scripts/bootstrap, from the hash-locked requirements.\n"
        yield language_pb2.InstallDependenciesResponse(stdout=message.encode())

    async def About(self, request: Any, context: Any) -> Any:
        python = await self._interpreter(request.info, context)
        output = await self._output(context, python, "-c", "import platform; print(platform.python_version())")
        return language_pb2.AboutResponse(executable=python.executable, version=output.strip())

    async def GetProgramDependencies(self, request: Any, context: Any) -> Any:
        python = await self._interpreter(request.info, context)
        flags = ["--all"] if request.transitiveDependencies else []
        packages: dict[str, str] = json.loads(await self._output(context, python, "-c", _LIST_PACKAGES, *flags))
        found = [language_pb2.DependencyInfo(name=name, version=packages[name]) for name in sorted(packages)]
        return language_pb2.GetProgramDependenciesResponse(dependencies=found)

    async def Run(self, request: Any, context: Any) -> Any:
        """Run the program to its end. Its output goes where ours goes: the engine shows both."""
        python = await self._interpreter(request.info, context)
        environ = python.activate(os.environ) | {
            "PULUMI_CONFIG": json.dumps(dict(request.config)),
            "PULUMI_CONFIG_SECRET_KEYS": json.dumps(list(request.configSecretKeys)),
        }
        flags = {
            "monitor": request.monitor_address,
            "engine": self.engine_address.result(),
            "project": request.project,
            "stack": request.stack,
            "pwd": request.pwd,
            "dry_run": str(request.dryRun).lower(),
            "parallel": str(request.parallel),
            "organization": request.organization,
            "root_directory": request.info.root_directory,
        }
        arguments = [text for name, value in flags.items() if value for text in (f"--{name}", value)]
        command = [python.executable, "-u", executor(), *arguments, request.info.entry_point or ".", *request.args]
        async with child(*command, env=environ) as process:
            code = await process.wait()
        if code == PROGRAM_ALREADY_REPORTED:
            return language_pb2.RunResponse(bail=True)
        return language_pb2.RunResponse(error=f"Program exited with non-zero exit code: {code}" if code else "")

    async def RunPlugin(self, request: Any, context: Any) -> None:  # type: ignore[override]  # writes, does not yield
        """Run a plugin's or a policy pack's folder and stream what it prints, then its exit code."""
        python = await self._interpreter(request.info, context)
        environ = python.activate(dict(entry.split("=", 1) for entry in request.env if "=" in entry))
        folder = request.info.program_directory
        analyzer = request.kind == "analyzer"
        command = ["-m", "pulumi.policy", *request.args, folder] if analyzer else [folder, *request.args]
        pipes = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.PIPE}
        one_at_a_time = asyncio.Lock()

        async def forward(name: str, stream: asyncio.StreamReader) -> None:
            while data := await stream.read(65536):
                fields: dict[str, Any] = {name: data}
                async with one_at_a_time:
                    await context.write(language_pb2.RunPluginResponse(**fields))

        where = request.pwd or None
        async with child(python.executable, "-u", *command, env=environ, cwd=where, **pipes) as process:
            await asyncio.gather(*(forward(name, getattr(process, name)) for name in pipes))
            await context.write(language_pb2.RunPluginResponse(exitcode=await process.wait()))

    async def _interpreter(self, info: Any, context: Any) -> Interpreter:
        try:
            return interpreter(info)
        except ToolchainError as error:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
            raise

    async def _output(self, context: Any, python: Interpreter, *arguments: str) -> str:
        pipe = asyncio.subprocess.PIPE
        environ = python.activate(os.environ)
        async with child(python.executable, *arguments, env=environ, stdout=pipe, stderr=pipe) as process:
            stdout, stderr = await process.communicate()
        if process.returncode:
            await context.abort(grpc.StatusCode.UNKNOWN, stderr.decode(errors="replace"))
        return stdout.decode()


def executor() -> str:
    """The vendor's script that runs a program: beside the engine, where scripts/bootstrap copied it."""
    path = shutil.which("pulumi-language-python-exec")
    if path is None:
        raise FileNotFoundError("pulumi-language-python-exec is not on PATH: run scripts/bootstrap again")
    return path


async def serve(arguments: list[str]) -> None:
    """Serve until a signal or until the engine is gone."""
    host = LanguageHost()
    if arguments:
        host.engine_address.set_result(arguments[-1])
    guard = AsyncGuard()
    server = grpc.aio.server(interceptors=[guard], options=[("grpc.max_receive_message_length", -1)])
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server)
    guard.port = server.add_insecure_port(f"{LOOPBACK}:0")
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(sign, stopped.set)
    await server.start()
    print(guard.port, flush=True)

    async def watch() -> None:
        when_gone(await host.engine_address, lambda: loop.call_soon_threadsafe(stopped.set))

    watcher = asyncio.create_task(watch())
    await stopped.wait()
    # Calls that the end cuts short are no news; gRPC and asyncio would log a traceback for some of them.
    logging.disable(logging.CRITICAL)
    watcher.cancel()
    await end_children()


async def end_children() -> None:
    """A child that outlived this process would hold its output pipe open, and the engine, which reads that to its end,
    would wait for ever."""
    children = tuple(_children)
    await asyncio.gather(*(_end(process) for process in children))
    for process in children:  # what a child started and left behind
        _signal(process.pid, signal.SIGKILL)


def main() -> None:
    asyncio.new_event_loop().run_until_complete(serve(sys.argv[1:]))
    # asyncio.run and the interpreter's end would cancel gRPC's own tasks, and those print a traceback each, whatever
    # is logged (`_schedule_rpc_coro` in grpc's aio/server.pyx.pxi).
    os._exit(0)


if __name__ == "__main__":
    main()
