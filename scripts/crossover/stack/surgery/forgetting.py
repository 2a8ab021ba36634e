"""A node taken out of a stack's state, with what is installed on it, because its machine is gone."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from images.sources import REPOSITORY
from providers.plugin.node_inputs import owner
from providers.renting.memory.journal import Journal
from providers.renting.naming import machine_name
from scripts.crossover.stack.engine import StackError
from scripts.crossover.stack.state import exported, machine_id
from scripts.crossover.stack.surgery.pending import remembered
from strict.names import INSTALL, NODE


@dataclass(frozen=True, slots=True)
class KnownNode:
    """A Node of the state."""

    machine: str
    """ "cloud/machine id"."""
    name: str
    """Its machine's deterministic name."""
    urns: frozenset[str]
    """The node's and those of what is installed on its machine."""


def known_node(stack: str, key: str) -> KnownNode:
    """The node of that key, or of that machine ("cloud/machine id"). Raises StackError where there is none or several,
    or no machine of its own."""
    resources = exported(stack)["deployment"].get("resources") or []
    nodes = [(str((r.get("inputs") or {}).get("key")), machine_id(r), r) for r in resources if _is_node(r)]
    named = [(machine, r) for known, machine, r in nodes if key in (known, machine)]
    if not named:
        keys = ", ".join(known for known, _, _ in nodes) or "none"
        raise StackError(f"stack {stack} has no node {key!r} that the plugin rents: it has {keys}")
    if len(named) > 1:
        raise StackError(f"stack {stack} has {len(named)} nodes {key!r}: name one of {', '.join(m for m, _ in named)}")
    [(machine, node)] = named
    if machine.startswith("vacant/"):
        raise StackError(f"{key} is vacant: it has no machine that could be gone")
    on_it = {r["urn"] for r in resources if r["type"] == INSTALL and _machine_of(r) == machine}
    return KnownNode(machine, machine_name(owner(node["inputs"])), frozenset({node["urn"], *on_it}))


def forget(stack: str, node: KnownNode, journal: Journal) -> None:
    """Writes the state without it. The engine's import drops the creates that a state has as pending (3.259:
    cmd/pulumi/stack/io.go), so the journal has them first. Raises StackError, Unavailable."""
    state = exported(stack)
    deployment = state["deployment"]
    remembered(deployment, journal)
    deployment["resources"] = without(deployment.get("resources") or [], node.urns)
    command = [str(REPOSITORY / "scripts" / "pulumi"), "stack", "import", "--stack", stack]
    done = subprocess.run(command, input=json.dumps(state), capture_output=True, text=True, env=os.environ, check=False)
    if done.returncode != 0:
        raise StackError(f"the state of {stack} was not changed: {done.stderr.strip() or done.stdout.strip()}")


def without(resources: list[dict[str, Any]], urns: Collection[str]) -> list[dict[str, Any]]:
    """The resources that are left; none of them depends on one that is gone."""
    kept = []
    for resource in resources:
        if resource["urn"] in urns:
            continue
        left = dict(resource)
        if "dependencies" in left:
            left["dependencies"] = [urn for urn in left["dependencies"] if urn not in urns]
        if "propertyDependencies" in left:
            left["propertyDependencies"] = {
                name: [urn for urn in needed or () if urn not in urns]
                for name, needed in left["propertyDependencies"].items()
            }
        if left.get("deletedWith") in urns:
            del left["deletedWith"]
        kept.append(left)
    return kept


def _is_node(resource: dict[str, Any]) -> bool:
    return resource["type"] == NODE and not resource.get("delete")


def _machine_of(install: dict[str, Any]) -> str:
    machine = (install.get("outputs") or install.get("inputs") or {}).get("machine") or {}
    return str(machine.get("id", "")) if isinstance(machine, dict) else ""
