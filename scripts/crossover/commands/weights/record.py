"""Writes the record of a model's revision, path, size and SHA-256 of each file, as the hub lists it.

A token, where the model is gated, comes from the variable HF_TOKEN.
"""

from __future__ import annotations

import json
import os
from typing import Annotated

import typer

from images.sources import REPOSITORY
from images.weights.agent.told import Refused
from images.weights.recording import record
from images.weights.records import name_of
from images.weights.settings import MOVING
from scripts.crossover.shell.output import emit_json, failing


def command(
    model: Annotated[
        str, typer.Argument(metavar="MODEL[@REVISION]", help="A hub's name, and a commit, branch or tag.")
    ],
    endpoint: Annotated[str, typer.Option(help="Of a mirror.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document instead of lines.")] = False,
) -> None:
    name, _, revision = model.partition("@")
    with failing(Refused):
        made = record(name, revision or MOVING, os.environ.get("HF_TOKEN", ""), endpoint.rstrip("/"))
    path = name_of(name, made["revision"])
    (REPOSITORY / path).write_text(json.dumps(made, indent=1, sort_keys=True) + "\n")
    size = sum(file["size"] for file in made["files"].values())
    if as_json:
        emit_json({"path": path, "revision": made["revision"], "files": len(made["files"]), "bytes": size})
        return
    print(f"{path}: {len(made['files'])} files, {size / 2**30:.1f} GiB")
    print(f"serving.revision: {made['revision']}")
