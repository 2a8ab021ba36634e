"""Creates that the engine had begun when it was killed: before the state forgets them, the journal has them.

Usage: python -m scripts.crossover.stack.surgery.pending STACK, by scripts/recover. On the computer on which the engine
ran the plugin has written them already; on another one, a CI runner's say, the state alone knows of them.
"""

from __future__ import annotations

import sys
from typing import Any

from images.remote.errors import RemoteError
from providers import registry
from providers.plugin.node_inputs import owner
from providers.renting.memory.journal import Journal
from providers.renting.naming import machine_name
from scripts.crossover.stack.engine import StackError, project, seen_by_the_plugin
from scripts.crossover.stack.state import exported
from strict.names import NODE


def remembered(deployment: dict[str, Any], journal: Journal) -> list[str]:
    """Writes an intent for each cloud of the ladder of each node whose create is pending, and has none; "cloud/name" of
    each. Which rung it was, and when, the state does not say: the cloud's window begins now. Raises Unavailable."""
    written = []
    for operation in deployment.get("pending_operations") or ():
        resource = operation.get("resource") or {}
        if operation.get("type") != "creating" or resource.get("type") != NODE:
            continue
        inputs = resource["inputs"]
        name = machine_name(owner(inputs))
        known = {intent.cloud for intent in journal.open([name])}
        for cloud in dict.fromkeys(rung["cloud"] for rung in inputs["candidates"]):
            if cloud in registry.CLOUDS and cloud not in known and registry.cloud(cloud).visibility_s:
                journal.begin(name, cloud)
                written.append(f"{cloud}/{name}")
    return written


def main(arguments: list[str]) -> int:
    [stack] = arguments
    try:
        state = exported(stack)
        journal = Journal.of(project(), stack, seen_by_the_plugin())
        for machine in remembered(state.get("deployment") or {}, journal):
            print(f"==> {machine} may have been created: the next `up` looks for it before it rents another")
    except (StackError, RemoteError) as e:
        print(f"scripts/recover: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
