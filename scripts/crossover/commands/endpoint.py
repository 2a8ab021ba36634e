"""Endpoint, key file, two curl lines to paste, monitoring, monthly cost and the break-even verdict."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rich.text import Text

from cost_guard import wording
from scripts.crossover.shell.options import AsJson
from scripts.crossover.shell.output import console, emit_json, styled, table
from scripts.crossover.stack.engine import Stack, reading
from scripts.crossover.stack.files import ca_file, key_file, monitoring_key_file
from scripts.crossover.stack.state import Outputs, outputs
from scripts.crossover.stack.verdict import verdict
from strict.names import GATEWAY_ROLE, MONITORING_USER


def command(stack: Stack, as_json: AsJson = False) -> None:
    with reading():
        reached = outputs(stack)
        judged = verdict(stack)
        key = key_file(stack, reached.key)
        trust = trusting(reached, stack)
        password = monitoring_key_file(stack, reached.monitoring_key)
    lines = [curl(reached, key, streamed, trust) for streamed in (False, True)]
    cost = judged.self_hosted_usd_per_month
    if as_json:
        emit_json(
            {
                "endpoint": reached.endpoint,
                "addresses": reached.addresses,
                "keyFile": str(key),
                "model": reached.model,
                "curl": lines,
                "prometheus": reached.prometheus,
                "alertmanager": reached.alertmanager,
                "monitoringKeyFile": str(password),
                "verdict": judged.to_json_dict(),
            }
        )
        return
    shown = table("", "")
    shown.show_header = False
    shown.add_row("endpoint", reached.endpoint)
    shown.add_row("key", f"{key} (mode 0600)")
    shown.add_row("models", ", ".join((reached.model, *reached.managed_models)))
    shown.add_row("Prometheus", reached.prometheus)
    shown.add_row("Alertmanager", reached.alertmanager)
    shown.add_row("", f"both ask for the user {MONITORING_USER}; the password is in {password} (mode 0600)")
    if not reached.here:
        shown.add_row("", f"both on the gateway's machine; they come here by: {tunnel(reached, stack)}")
    shown.add_row("monthly cost", "unknown" if cost is None else f"{wording.usd(cost)} reckoned, self-hosted")
    shown.add_row("break-even", Text.assemble(styled(str(judged.level)), f" {judged.headline}"))
    console().print(shown)
    print()
    for line in lines:  # by print: unwrapped and uncoloured, to be pasted
        print(line)


def tunnel(reached: Outputs, stack: str) -> str:
    """The command that brings the gateway's Prometheus and Alertmanager to the same ports of this computer."""
    ports = [urlsplit(url).port for url in (reached.prometheus, reached.alertmanager)]
    forwards = " ".join(f"-L {port}:127.0.0.1:{port}" for port in ports)
    return f"crossover ssh {GATEWAY_ROLE} --stack {shlex.quote(stack)} -N {forwards}"


def trusting(reached: Outputs, stack: str) -> tuple[str, ...]:
    """What curl needs to find and to trust an endpoint whose certificate the stack's own CA signed."""
    url = urlsplit(reached.endpoint)
    if url.scheme != "https":
        return ()
    ca = shlex.quote(str(ca_file(stack, reached.ca_certificate)))
    # Not --resolve, which takes no names: an address at AWS is one.
    return (f"--cacert {ca}", f"--connect-to {url.hostname}:{url.port}:{reached.addresses[0]}")


def curl(reached: Outputs, key: Path, stream: bool, trust: Sequence[str] = ()) -> str:
    """One line that works from any folder and reads the key from its file."""
    body: dict[str, Any] = {"model": reached.model, "messages": [{"role": "user", "content": "Say hello."}]}
    body |= {"max_tokens": 32} | ({"stream": True} if stream else {})
    return " ".join(
        [
            "curl -sS",
            *(["-N"] if stream else []),
            *trust,
            f"{reached.endpoint}/v1/chat/completions",
            f'-H "Authorization: Bearer $(cat {shlex.quote(str(key))})"',
            "-H 'Content-Type: application/json'",
            f"-d {shlex.quote(json.dumps(body))}",
        ]
    )
