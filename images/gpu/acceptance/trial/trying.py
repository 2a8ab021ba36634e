"""A machine's service is tried out, once for what it serves with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from images.bundle import Bundle, Trial
from images.remote.connection import Connection
from images.remote.errors import CommandFailed, UnsuitableMachine
from images.remote.host import Host
from images.remote.scripts import run_program
from images.remote.waiting import Progress, Say, Waiting
from images.tokens import resolve, secret_path

RECORD = "state/acceptance.json"
"""The machine's record, below the root."""
_PROGRAM = Path(__file__).resolve().with_name("agent.py")


def job_of(host: Host, bundle: Bundle, trial: Trial, of: Mapping[str, str]) -> dict[str, Any]:
    """What the program is told, without a secret: paths of them. `of` is what the machine serves with (driver, vLLM's
    version, weights): another one of these, or another trial, is tried anew."""
    known = json.dumps({"trial": asdict(trial), "of": dict(of)}, sort_keys=True)
    asked = ("model", "prompt", "expect", "load_s", "concurrency", "input_tokens", "output_tokens")
    return {
        "key": hashlib.sha256(known.encode()).hexdigest(),
        "record": f"{host.root}/{RECORD}",
        "of": dict(of),
        "address": host.loopback,
        "port": host.ports[trial.port],
        "name": resolve("@SERVER_NAME@", host, bundle, where="trial"),
        "ca": resolve(trial.tls_ca, host, bundle, where="trial"),
        "client_certificate": secret_path(trial.client_certificate, host),
        "key_file": secret_path(trial.bearer_secret, host),
        **{name: getattr(trial, name) for name in asked},
    }


def try_out(connection: Connection, job: Mapping[str, Any], watch: Waiting, say: Say) -> dict[str, Any]:
    """The machine's record, of this trial or of the same one before. Raises UnsuitableMachine with what was wrong,
    CommandFailed, and what Connection.run raises."""
    result = run_program(
        connection,
        _PROGRAM.read_bytes(),
        job,
        place=f"{job['record']}.py",
        what_for="a node is tried out",
        watch=watch,
        step="trying it out",
        progress=Progress(say, prefix="trying it out: "),
    )
    try:
        told = json.loads(result.stdout.splitlines()[-1])
        if "wrong" in told:
            raise UnsuitableMachine(str(told["wrong"]))
        record: dict[str, Any] = told["record"]
    except (LookupError, ValueError, TypeError) as e:
        where = connection.host.where
        raise CommandFailed(f"{where} could not be tried out (status {result.status}):\n{result.tail}") from e
    return record


def told(record: Mapping[str, Any]) -> str:
    """For people, in one line."""
    load = record.get("load")
    known = "" if record["known"]["same_twice"] else "; the same question had two answers"
    if not load:
        return f"a known answer on {record['date']}{known}"
    return (
        f"{load['output_tokens_per_s']:g} tokens/s out, first token after {load['ttft_p50_ms']:g} ms (p50) and "
        f"{load['ttft_p99_ms']:g} ms (p99), {load['concurrency']} at a time of "
        f"{load['input_tokens']}/{load['output_tokens']} tokens for {load['load_s']} s on {record['date']}{known}"
    )
