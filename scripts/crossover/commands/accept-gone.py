"""Accepts that a node's machine is gone: asks its cloud once more, then takes the node and what is installed on it out
of the state. Ends nothing, and refuses where the cloud shows the machine or cannot be asked."""

from __future__ import annotations

from typing import Annotated

import typer

from images.remote.errors import RemoteError
from providers import registry
from providers.errors import Gone
from providers.renting.memory.journal import Journal
from providers.renting.presence.looking import shown
from scripts.crossover.shell.output import fail
from scripts.crossover.stack.engine import Stack, project, reading, seen_by_the_plugin
from scripts.crossover.stack.surgery.forgetting import forget, known_node


def command(
    node: Annotated[str, typer.Argument(help="The node's key, as `crossover nodes` shows it, or cloud/machine id.")],
    stack: Stack,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Without a question, as from cron.")] = False,
) -> None:
    with reading():
        found = known_node(stack, node)
        cloud_name, _, machine_id = found.machine.partition("/")
        try:
            machine = shown(registry.cloud(cloud_name), machine_id)
        except Gone as e:
            fail(f"{found.machine} of {node}: {e}. Nothing was changed, and nothing need be accepted: run `up`")
        except RemoteError as e:
            fail(f"{found.machine} of {node}: {e}. Nothing was changed")
        if machine is not None:
            fail(
                f"{found.machine} of {node} is there ({machine.status or machine.state}): nothing was changed. Run `up`"
            )
        print(f"{cloud_name} shows {found.machine} of {node} neither by its id nor in its listing")
        if not yes and not typer.confirm("Take the node and what is installed on it out of the state?", default=False):
            raise typer.Exit(1)
        # First: should the state be written and this fail, the next `up` would know nothing of that machine.
        try:
            journal = Journal.of(project(), stack, seen_by_the_plugin())
            journal.given_up(found.name, cloud_name, machine_id)
            forget(stack, found, journal)
        except RemoteError as e:
            fail(f"{e}. The state was not changed")
    print(
        f"{node} is out of the state of {stack}. The next `up` looks for {found.machine} once more, sends its end "
        "request, and rents another"
    )
