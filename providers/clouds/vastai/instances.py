"""An instance as Vast reports it → a Machine. Pure.

The label is the only text of ours that Vast keeps and the host does not see: it carries the ownership mark, the name
and what else a listing must tell again. It may have 1,024 characters
(docs.vast.ai/api-reference/instances/manage-instance).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from providers.base import Machine, MachineState, NodeSpec, Owner
from providers.clouds.vastai.market import ANY
from providers.renting.answers.price import usd
from providers.renting.naming import machine_name, mark, owner_of

Row = Mapping[str, Any]

STATES = {
    None: MachineState.PENDING,
    "created": MachineState.PENDING,
    "loading": MachineState.PENDING,
    "rebooting": MachineState.PENDING,
    "running": MachineState.RUNNING,
    "stopped": MachineState.STOPPED,
    "frozen": MachineState.STOPPED,
    "exited": MachineState.STOPPED,
    "offline": MachineState.UNKNOWN,
    "unknown": MachineState.UNKNOWN,
}
"""`actual_status` (docs.vast.ai/sdk/python/reference/show-instance)."""
NOT_YET = frozenset({None, "created", "loading"})


@dataclass(frozen=True, slots=True)
class Label:
    """What ours says."""

    owner: Owner
    name: str
    region: str = ANY
    sku: str = ""
    ports: tuple[tuple[str, int], ...] = ()
    """Service → port inside."""

    @classmethod
    def of(cls, spec: NodeSpec) -> Label:
        return cls(spec.owner, spec.name, spec.region, spec.sku, tuple(spec.ports.items()))

    @classmethod
    def parse(cls, text: str) -> Label | None:
        """None for what is not ours. What somebody has cut in the console still tells whose it is."""
        words = text.split()
        owner = owner_of(words[0]) if words else None
        if owner is None:
            return None
        if len(words) != 5:
            return cls(owner, machine_name(owner))
        pairs = (pair.partition("=") for pair in words[4].split(","))
        ports = tuple((service, int(port)) for service, _, port in pairs if re.fullmatch("[0-9]{1,5}", port))
        return cls(owner, words[1], words[2], words[3], ports)

    def __str__(self) -> str:
        ports = ",".join(f"{service}={port}" for service, port in self.ports) or "-"
        return f"{mark(self.owner)} {self.name} {self.region} {self.sku} {ports}"


def machine(row: Row) -> Machine:
    """In as much as it can be read: the row may be somebody else's, and of any shape but for its id. Its owner is None
    where the label is not ours."""
    text = row.get("label")
    label = Label.parse(text) if isinstance(text, str) else None
    address = row.get("public_ipaddr")
    return Machine(
        id=str(row["id"]),
        name=label.name if label else str(text or ""),
        cloud="vastai",
        region=label.region if label else ANY,
        sku=label.sku if label else "",
        owner=label.owner if label else None,
        state=state(row) if marked(row) else MachineState.UNKNOWN,
        failure_domain=failure_domain(row),
        usd_per_hour=usd(row.get("dph_total")),
        created_at=_started(row.get("start_date")),
        address=address.strip() or None if isinstance(address, str) else None,
        ports=_outer_ports(row, label.ports if label else ()),
        listen=dict(label.ports) if label else {},
        ssh_user="root",
        loses_disk=True,
        status=status(row),
        blame=failure_domain(row) if row.get("machine_id") and row.get("host_id") else "",
    )


def marked(row: Row) -> bool:
    """Whether its label can be read, or it has none."""
    return row.get("label") is None or isinstance(row["label"], str)


def listed(row: Row, found: Machine, project: str | None) -> bool:
    """Whether a listing shows the instance's machine: ours, and what has a label that cannot be read."""
    if found.owner is None:
        return not marked(row)
    return project in (None, found.owner.project)


def _started(told: Any) -> str:
    """RFC 3339, of seconds since 1970; empty where it has not, or they cannot be read."""
    if not isinstance(told, int | float) or not told:
        return ""
    try:
        return datetime.fromtimestamp(told, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return ""


def failure_domain(row: Row) -> str:
    """Two nodes must share neither the machine nor the host who owns it. Of an instance or an offer."""
    return f"vastai/{row.get('machine_id')}/{row.get('host_id')}"


def outbid(row: Row) -> bool:
    """Whether a higher bid has taken the machine's GPUs. (One's own stop of an interruptible one looks the same.)"""
    states = (row.get("cur_state"), row.get("intended_status"), row.get("next_state"))
    return bool(row.get("is_bid")) and states == ("stopped",) * 3


def state(row: Row) -> MachineState:
    """What no documentation knows is UNKNOWN."""
    actual = row.get("actual_status")
    if actual is not None and not isinstance(actual, str):
        return MachineState.UNKNOWN
    if outbid(row) or (actual in NOT_YET and row.get("intended_status") == "stopped"):
        return MachineState.STOPPED
    return STATES.get(actual, MachineState.UNKNOWN)


def status(row: Row) -> str:
    """The vendor's words, on one line."""
    words = "outbid" if outbid(row) else str(row.get("actual_status") or "being provisioned")
    said = " ".join(str(row.get("status_msg") or "").split())[:200]
    return f"{words}: {said}" if said else words


def _outer_ports(row: Row, services: tuple[tuple[str, int], ...]) -> dict[str, int]:
    """Docker's form, {"22/tcp": [{"HostIp": …, "HostPort": "41022"}]}; absent until the container runs."""
    reported = row.get("ports")
    if not isinstance(reported, dict):
        return {}
    found = {service: _first(reported.get(f"{port}/tcp")) for service, port in services}
    return {service: port for service, port in found.items() if port}


def _first(bindings: Any) -> int:
    """The outer port of the first of Docker's bindings; 0 where there is none that can be read."""
    first = bindings[0] if isinstance(bindings, list) and bindings else None
    port = str(first.get("HostPort")) if isinstance(first, dict) else ""
    return int(port) if re.fullmatch("[0-9]{1,5}", port) else 0
