"""What the machine's engine turned out to be: its version, its Python, and the memory that its processes share."""

from __future__ import annotations

import re
from collections.abc import Mapping

from images.bundle import Runtime
from images.remote.errors import MissingProgram, RemoteError, UnsuitableMachine
from images.remote.scripts import require
from images.tokens import resolve
from images.vehicles.ssh.scripts import run_script
from images.vehicles.ssh.steps.installation import Installation

_RELEASE = re.compile(r"\d+(?:\.\d+)+(?:\.post\d+)?(?:\+.*)?")
"""A version that says how old it is. "0.1.dev1+g…" is what a build from somebody's own sources calls itself."""


def look_at_engine(under_way: Installation) -> None:
    """Tells what the machine has, and refuses what cannot serve, before the engine is started and weights are loaded.
    Changes nothing. Raises MissingProgram, UnsuitableMachine."""
    bundle, host = under_way.layout.bundle, under_way.layout.host
    runtime = bundle.runtime
    if runtime is None:
        return
    result = run_script(
        under_way.connection,
        "runtime",
        args=[runtime.kind, runtime.distribution, resolve(runtime.program, host, bundle, where="runtime")],
        watch=under_way.watch,
        step=f"looking at {runtime.distribution}",
    )
    lines = require(result, f"{runtime.distribution} on {host.where} could not be looked at").stdout.splitlines()
    answers = dict(line.split("\t", 1) for line in lines if "\t" in line)
    under_way.found |= found(runtime, answers)
    under_way.interpreter = answers.get("interpreter", "")
    if problem := refusal(runtime, answers):
        raise type(problem)(f"{host.where}: {problem}")
    if remark := other_version(runtime, answers):
        under_way.say(remark)


def found(runtime: Runtime, answers: Mapping[str, str]) -> dict[str, str]:
    """Pure: for people, by what it is."""
    named = {"version": runtime.distribution, "python": "python"}
    told = {name: answers[key] for key, name in named.items() if answers.get(key)}
    if runtime.shared_memory_bytes and answers.get("shared_memory"):
        told["shared memory"] = _mib(int(answers["shared_memory"]))
    return {"runtime": runtime.kind, **told}


def refusal(runtime: Runtime, answers: Mapping[str, str]) -> RemoteError | None:
    """Pure: why the machine cannot serve with what it has."""
    what, version = runtime.distribution, answers.get("version", "")
    if not answers.get("program"):
        return MissingProgram(f"{what} is not there: {_REMEDIES[runtime.kind]}")
    if _RELEASE.fullmatch(version) and runtime.least and _numbers(version) < _numbers(runtime.least):
        return UnsuitableMachine(
            f"its {what} is {version}, and {runtime.least} or newer is needed: {_REMEDIES[runtime.kind]}"
        )
    shared = answers.get("shared_memory", "")
    if runtime.shared_memory_bytes and shared.isdigit() and int(shared) < runtime.shared_memory_bytes:
        return UnsuitableMachine(
            f"/dev/shm holds {_mib(int(shared))}, and the GPUs of one model need {_mib(runtime.shared_memory_bytes)} "
            "between them. A container cannot enlarge it: ask the vendor for more (docker's --shm-size), or give the "
            "machine back and take another"
        )
    return None


def other_version(runtime: Runtime, answers: Mapping[str, str]) -> str:
    """Pure: what is to know of a version that this project was not read for; empty where there is nothing."""
    version = answers.get("version", "")
    if not runtime.usual or version.partition("+")[0] == runtime.usual:
        return ""
    return (
        f"the machine has {runtime.distribution} {version or 'of no known version'}, and {runtime.usual} was expected"
    )


_REMEDIES = {
    "environment": "see what the build of its environment said",
    "image": "name an image in serving.image that has it on its PATH",
    "machine": "install it there, or set serving.runtime: environment, which brings it along",
}


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("+")[0]))


def _mib(size_bytes: int) -> str:
    return f"{size_bytes >> 20} MiB"
