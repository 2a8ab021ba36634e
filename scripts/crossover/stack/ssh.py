"""The way in: ssh's arguments for a machine of the stack, with the stack's key and the machine's pinned host key."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from providers.clouds.aws import session
from scripts.crossover.stack.engine import StackError
from scripts.crossover.stack.files import identity_file, known_hosts_file
from scripts.crossover.stack.state import nodes
from strict.names import GATEWAY_ROLE


def login(stack: str, node: str) -> list[str]:
    """ssh's argument list up to the host. Raises StackError for a node that is not there, or has no machine."""
    machine = machine_of(nodes(stack), node)
    port = int(machine["ports"]["ssh"])
    through = session.command(machine.get("tunnel") or "", port)
    return [
        "ssh",
        *("-F", "none"),  # nothing of the user's own settings, as `up` itself
        *("-i", str(identity_file(stack))),
        *("-o", "IdentitiesOnly=yes"),
        *("-o", f"UserKnownHostsFile={known_hosts_file(stack, machine['id'], machine['hostKey'])}"),
        *("-o", "GlobalKnownHostsFile=none"),
        *("-o", "StrictHostKeyChecking=yes"),
        *("-o", f"HostKeyAlias={machine['id']}"),
        *(("-o", f"ProxyCommand={shlex.join(through)}") if through else ()),
        *("-p", str(port)),
        f"{machine['sshUser']}@{machine['address']}",
    ]


def machine_of(rented: Sequence[Mapping[str, Any]], node: str) -> Mapping[str, Any]:
    """The machine of a node by its key, or of the first gateway. Raises StackError."""

    def order(one: Mapping[str, Any]) -> tuple[bool, bool, str]:
        # A vacant node carries no gateway: where gateways are on the nodes, the first that has a machine does.
        vacant = not (one.get("machine") or {}).get("address")
        return one.get("role") != GATEWAY_ROLE, vacant, str(one.get("key"))

    ordered = sorted(rented, key=order)
    for one in ordered:
        if node == one.get("key") or (node == GATEWAY_ROLE and one is ordered[0]):
            machine: Mapping[str, Any] = one.get("machine") or {}
            if not machine.get("address"):
                raise StackError(f"node {one['key']} has no machine yet: run `pulumi up`")
            return machine
    raise StackError(f"no node {node!r}: choose one of {', '.join(str(one.get('key')) for one in ordered) or 'none'}")
