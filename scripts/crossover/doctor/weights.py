"""Whether the stack's model may be fetched: the hub is asked before anything is rented."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from images.engines.common.base import WEIGHTS
from images.engines.common.registry import engine
from images.weights.agent.told import Refused
from images.weights.recording import readable
from images.weights.settings import weights_of
from providers.preflight import Check, Grade
from scripts.crossover.stack.engine import StackError, pulumi
from stacks.served import Serving
from strict.problems import Problems, parse


def weights(stack: str, values: Mapping[str, Any]) -> list[Check]:
    """One line, or none where nothing comes from the hub. `values` are the stack's configuration by key."""
    try:
        serving = parse(Serving, values.get("serving", {}))
    except Problems:
        return []  # `up` tells it
    wanted = weights_of(serving, needed=WEIGHTS in engine(serving.engine).capabilities)
    if wanted is None or wanted.kind != "hf":
        return []
    name, secret = f"weights of {wanted.model}", None if serving.weights is None else serving.weights.secret
    token = "" if secret is None else _token(stack, secret)
    if token is None:
        detail = f"the token crossover:apiKeys.{secret} cannot be read here"
        return [
            Check(name, Grade.WARN, detail, f"set it: pulumi config set --secret --path crossover:apiKeys.{secret}")
        ]
    try:
        size = readable(wanted.model, wanted.revision, token, wanted.endpoint)
    except Refused as e:
        level = Grade.WARN if e.kind in ("network", "busy") else Grade.FAIL
        return [Check(name, level, str(e), "the nodes will be refused too: mend it before anything is rented")]
    return [Check(name, Grade.OK, f"may be fetched: {size / 2**30:.1f} GiB of revision {wanted.revision}")]


def _token(stack: str, secret: str) -> str | None:
    """None where the engine cannot give it."""
    try:
        return pulumi("config", "get", "--stack", stack, "--path", f"crossover:apiKeys.{secret}").strip() or None
    except StackError:
        return None
