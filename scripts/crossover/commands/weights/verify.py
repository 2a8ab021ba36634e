"""Reads a node's weights anew and fetches again what is not what it must be. The node serves meanwhile."""

from __future__ import annotations

from typing import Annotated

import typer

from images.bundle import Bundle
from images.remote.connection import Connection
from images.remote.errors import RemoteError
from images.remote.waiting import Waiting
from images.sources import REPOSITORY, located, read_source
from images.weights.onto import bring, job_of
from providers import registry
from providers.plugin.machine import host_of
from scripts.crossover.shell.output import failing
from scripts.crossover.stack.engine import Stack, StackError
from scripts.crossover.stack.files import identity_file
from scripts.crossover.stack.state import resources
from strict.names import INFERENCE_ROLE, INSTALL, name_of


def command(node: Annotated[str, typer.Argument(help="The node's key.")], stack: Stack) -> None:
    with failing(StackError, RemoteError):
        found = {name_of(r["urn"]): r.get("outputs") or {} for r in resources(stack) if r["type"] == INSTALL}
        installed = found.get(f"{node}-{INFERENCE_ROLE}")
        if installed is None or not installed["machine"].get("address"):
            raise StackError(f"nothing is installed on a node {node!r} of stack {stack}")
        bundle = located(Bundle.from_dict(installed["bundle"]))
        if (weights := bundle.weights) is None:
            raise StackError(f"node {node} has no weights that were brought")
        record = None if weights.record is None else read_source(weights.record, REPOSITORY)
        host = host_of(installed["machine"], registry.cloud, installed["serverName"])
        job = {**job_of(host, bundle, weights, record), "again": True}
        with Connection.open(host, identity_file(stack).read_text()) as connection:
            brought = bring(connection, job, Waiting(weights.deadline_s), print)
    again = f", {brought.fetched_bytes} bytes were fetched again" if brought.fetched_bytes else ""
    print(f"{brought.told(weights.model)}{again}")
