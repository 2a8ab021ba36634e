"""Runs the real preview with the policy pack, and hands on what the engine reports."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

from cost_guard.pack import registry
from cost_guard.pack.rule import StackRule
from images.sources import REPOSITORY
from scripts.crossover.review.preview.events import Mandatory, Run, read
from scripts.crossover.review.preview.scrub import Scrubber
from scripts.crossover.stack.engine import StackError, pulumi
from strict.day import VARIABLE
from strict.places import Place

DEADLINE_S = 1800.0
"""A pack with a wrong virtual environment hangs the engine for ever."""
REMEDIES: Mapping[str, str] = {
    "no stack named": "The stack {stack} is not initialised in this backend: scripts/stack-init {stack} makes it, and "
    "rents nothing.",
    "incorrect passphrase": "The passphrase is not the one that the stack's secrets are encrypted with: set "
    "PULUMI_CONFIG_PASSPHRASE to that one (in GitHub Actions: the repository's secret of that name).",
    "passphrase must be set": "The stack's secrets need their passphrase: set PULUMI_CONFIG_PASSPHRASE (in GitHub "
    "Actions: the repository's secret of that name).",
}
"""Words of pulumi 3.259 where it fails before any event, and what to do. It exits 6 on the first, and 1 on the others
as on any error."""


@dataclass(frozen=True)
class PulumiProgram:
    """The program that is previewed: this project's, or one of others in its folder, with their own backend."""

    folder: Path
    engine: str
    pack: str = "policies"
    variables: Mapping[str, str] = field(default_factory=dict)


def preview(
    stack: str, today: date, clean: Scrubber, pack_config: Path | None = None, program: PulumiProgram | None = None
) -> Run:
    """One `pulumi preview` with the pack, judged as of `today`. Changes nothing."""
    program = program or PulumiProgram(REPOSITORY, str(REPOSITORY / "scripts" / "pulumi"))
    command = [
        program.engine,
        *("preview", "--stack", stack, "--json", "--non-interactive", "--policy-pack", program.pack),
        *(("--policy-pack-config", str(pack_config.resolve())) if pack_config else ()),
    ]
    environment = {
        **os.environ,
        **program.variables,
        "PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "true",
        VARIABLE: today.isoformat(),  # program, pack and this command judge by one day
    }
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        exit_code, late = _run(command, program.folder, environment, out.fileno(), err.fileno())
        out.seek(0)
        err.seek(0)
        said = late or explained(err.read(), stack)
        run = read(out, mandatory_rules(), exit_code=exit_code, said=said, clean=clean)
    if pack_config is None:
        return run
    # The engine tells the level of a rule that is broken; of one that passes, only this file does.
    weakened = {**weakened_by(pack_config.read_text("utf-8"), mandatory_rules()), **dict(run.weakened)}
    return replace(run, weakened=tuple(sorted(weakened.items())))


def explained(said: str, stack: str) -> str:
    """What the engine says on standard error, with what to do about it where that is known."""
    found = next((remedy for words, remedy in REMEDIES.items() if words in said), "")
    return f"{said.strip()}\n{found.format(stack=stack)}" if found else said


def weakened_by(pack_config: str, mandatory: Mandatory) -> dict[str, str]:
    """Mandatory rules that a pack configuration (JSON) switches off or down. What is no JSON the engine refuses."""
    try:
        given = json.loads(pack_config)
    except ValueError:
        return {}
    if not isinstance(given, dict):
        return {}
    levels = {rule: _level(given.get(rule, given.get("all"))) for rule in mandatory.resource | mandatory.stack}
    words = {"disabled": "disabled", "advisory": "downgraded to advisory"}
    return {rule: words[level] for rule, level in levels.items() if level in words}


def _level(entry: Any) -> str:
    level = entry.get("enforcementLevel") if isinstance(entry, dict) else entry
    return level if isinstance(level, str) else ""


def mandatory_rules() -> Mandatory:
    """The rules of the pack that may not be switched off."""
    stack = frozenset(rule.code for rule in registry.rules() if isinstance(rule, StackRule))
    return Mandatory(resource=frozenset(registry.codes().mandatory) - stack, stack=stack)


def secret_values(stack: str, places: Iterable[Place]) -> list[str]:
    """The decrypted values of secret keys, to be hidden. None where they cannot be had: then nor can the preview."""
    wanted = list(places)
    if not wanted:
        return []
    try:
        config = json.loads(pulumi("config", "--json", "--show-secrets", "--stack", stack))
    except (StackError, ValueError):
        return []
    values = [_at(config.get(key, {}), place) for key, *place in wanted]
    return [part for value in values if isinstance(value, str) for part in (value, *value.splitlines())]


def _at(item: Any, place: list[str]) -> Any:
    value = item.get("objectValue", item.get("value"))
    for key in place:
        found = dict(enumerate(value)) if isinstance(value, list) else value
        value = found.get(int(key) if isinstance(value, list) else key) if isinstance(found, dict) else None
    return value


def _run(command: list[str], folder: Path, environment: Mapping[str, str], out: int, err: int) -> tuple[int, str]:
    """The exit code, and what to say of an engine that did not end."""
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
        start_new_session=True,
    )  # fmt: skip
    try:
        return process.wait(timeout=DEADLINE_S), ""
    except subprocess.TimeoutExpired:
        return process.returncode or 1, f"the preview did not end in {DEADLINE_S:g} s and was stopped"
    finally:
        if process.poll() is None:  # a deadline, or this command was interrupted
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Politely first; then all that is left of its group: programs, plugins and what ignores an interrupt."""
    os.killpg(process.pid, signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=20)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
