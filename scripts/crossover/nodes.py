"""`crossover nodes`: the machines of a stack, as state, cloud and monitoring each see them."""

from __future__ import annotations

import json
from typing import Any
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import urlopen

from providers import registry
from providers.errors import CloudError, NotFound
from providers.plugin.node import VACANT
from scripts.crossover.output import console, emit_json, styled, table
from scripts.crossover.stack import AsJson, Stack, StackError, nodes, outputs, reading

UP = 'up{job="vllm"}'


def command(stack: Stack = "local", as_json: AsJson = False) -> None:
    """What is rented, where, at what price, and whether it serves."""
    with reading():
        rented = nodes(stack)
        serving = _serving(stack)
        rows = [_row(node, serving) for node in sorted(rented, key=lambda n: (n.get("role", ""), n.get("key", "")))]
    if as_json:
        emit_json(rows)
        return
    shown = table("node", "machine", "failure domain", "state", "serves", "USD/h", "SSH")
    for row in rows:
        serves = styled({True: "PASS", False: "FAIL", None: ""}[row["serves"]])
        machine, address = row["id"].partition("/")[2], row["ssh"].partition("@")[2]
        shown.add_row(row["key"], machine, row["failureDomain"], row["state"], serves, row["usdPerHour"], address)
    console().print(shown)


def _row(node: dict[str, Any], serving: dict[str, bool]) -> dict[str, Any]:
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
    }


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
    """Node key → whether Prometheus could scrape it last; empty where Prometheus does not answer."""
    try:
        address = outputs(stack).prometheus
        with urlopen(f"{address}/api/v1/query?query={quote(UP)}", timeout=5) as response:
            found = json.load(response)["data"]["result"]
    except (URLError, OSError, ValueError, KeyError, StackError):
        return {}
    return {series["metric"]["node"]: series["value"][1] == "1" for series in found}
