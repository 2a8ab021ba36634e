"""What is rented, where, at what price, and whether it serves."""

from __future__ import annotations

import json
import shlex
import subprocess
from typing import Any
from urllib.parse import quote

from rich.text import Text

from images.engines.common.base import SERVICE
from images.roles.gateway.settings import RESERVED_SERVER
from images.vehicles.ssh.steps.examination import GPUS_FOUND
from images.vehicles.ssh.steps.trial import TRIAL_FOUND
from providers import registry
from providers.errors import CloudError, NotFound
from providers.plugin.machine import VACANT
from scripts.crossover.shell.options import AsJson
from scripts.crossover.shell.output import console, emit_json, styled, table
from scripts.crossover.stack.engine import Stack, StackError, reading
from scripts.crossover.stack.ssh import login
from scripts.crossover.stack.state import installs, nodes, outputs
from strict.names import GATEWAY_ROLE, MONITORING_USER

_ROUTED = f'haproxy_server_status{{proxy="{SERVICE}",state="UP",server!="{RESERVED_SERVER}"}}'
SERVES = f'min by (node) (up{{job="{SERVICE}"}} or label_replace({_ROUTED}, "node", "$1", "server", "(.+)"))'
"""1 where it was scraped last and the gateway sends it requests: a node that hangs may be scraped all the same."""
ASK_TIMEOUT_S = 15.0


def command(stack: Stack, as_json: AsJson = False) -> None:
    with reading():
        rented = nodes(stack)
        serving = _serving(stack)
        installed = installs(stack)
        rows = [
            _row(node, serving, installed)
            for node in sorted(rented, key=lambda n: (n.get("role", ""), n.get("key", "")))
        ]
    if as_json:
        emit_json(rows)
        return
    shown = table("node", "machine", "failure domain", "state", "serves", "USD/h", "SSH")
    for row in rows:
        serves = styled({True: "PASS", False: "FAIL", None: ""}[row["serves"]])
        machine, address = row["id"].partition("/")[2], row["ssh"].partition("@")[2]
        shown.add_row(row["key"], machine, row["failureDomain"], row["state"], serves, row["usdPerHour"], address)
    console().print(shown)
    for row in rows:
        if row["acceptance"]:
            console().print(Text(f"{row['key']}: {row['acceptance']}"))


def _row(node: dict[str, Any], serving: dict[str, bool], installed: dict[str, dict[str, Any]]) -> dict[str, Any]:
    machine = node.get("machine") or {}
    return {
        "key": node.get("key", ""),
        "role": node.get("role", ""),
        "id": node["id"],
        "failureDomain": node.get("failureDomain", ""),
        "state": _state(node["id"]),
        "serves": serving.get(node.get("key", "")) if node.get("role") == "inference" else None,
        "usdPerHour": node.get("usdPerHour", ""),
        "ssh": f"{machine.get('sshUser')}@{machine.get('address')}:{int((machine.get('ports') or {}).get('ssh', 0))}",
        "problems": node["initErrors"],
        "acceptance": acceptance(installed.get(f"{node.get('key', '')}-{node.get('role', '')}", {})),
    }


def acceptance(install: dict[str, Any]) -> str:
    """What its acceptance found, or why it is not accepted; empty where nothing was asked."""
    refused = [error.splitlines()[0] for error in install["initErrors"]] if install.get("initErrors") else []
    found = install.get("found") or {}
    return "; ".join(refused or [found[name] for name in (GPUS_FOUND, TRIAL_FOUND) if name in found])


def _state(resource_id: str) -> str:
    """What the cloud says of it now."""
    cloud, _, machine_id = resource_id.partition("/")
    if cloud == VACANT:
        return VACANT
    try:
        return str(registry.cloud(cloud).get(machine_id).state)
    except NotFound:
        return "gone"
    except CloudError as e:
        return f"unknown: {e}"


def _serving(stack: str) -> dict[str, bool]:
    """Node key → SERVES; empty where Prometheus does not answer."""
    try:
        reached = outputs(stack)
        url = f"{reached.prometheus}/api/v1/query?query={quote(SERVES)}"
        ask = ["curl", "-sS", "--max-time", "5", "--config", "-", url]
        # Prometheus listens on loopback of the gateway's machine; ssh hands its words to a shell there.
        command = ask if reached.here else [*login(stack, GATEWAY_ROLE), shlex.join(ask)]
        # By stdin: an argument list is everybody's to read.
        who = f'user = "{MONITORING_USER}:{reached.monitoring_key}"\n'
        done = subprocess.run(command, input=who, capture_output=True, text=True, timeout=ASK_TIMEOUT_S, check=True)
        found = json.loads(done.stdout)["data"]["result"]
    except (subprocess.SubprocessError, OSError, ValueError, KeyError, StackError):
        return {}
    return {series["metric"]["node"]: series["value"][1] == "1" for series in found}
