"""`crossover ssh`: a shell on a machine of the stack, with the stack's key and the machine's pinned host key."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from providers.clouds.aws import session
from scripts.crossover.stack.state import Stack, StackError, identity_file, known_hosts_file, nodes, reading
from strict.names import GATEWAY_ROLE


def command(
    context: typer.Context,
    node: Annotated[str, typer.Argument(help="The node's key, or `gateway` for the first machine that carries one.")],
    stack: Stack,
) -> None:
    """Opens a shell on a node. What follows its key goes to ssh: a command, or options as -N -L 9090:localhost:9090."""
    with reading():
        arguments = login(stack, node)
    try:
        os.execvp(arguments[0], [*arguments, *context.args])
    except FileNotFoundError:
        print("crossover: no `ssh` on this computer: install the OpenSSH client", file=sys.stderr)
        raise typer.Exit(1) from None


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
