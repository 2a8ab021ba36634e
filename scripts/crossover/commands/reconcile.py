"""Refreshes the stack, then changes the gateway alone, if it must. Rents and ends nothing. Two runs never overlap:
the second says so and exits 0."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from scripts.crossover.shell.output import fail
from scripts.crossover.stack.engine import STATE, Stack, StackError, pulumi
from scripts.crossover.stack.state import resources
from strict.names import GATEWAY, INSTALL, name_of, parents_of

UNATTENDED = ("--yes", "--skip-preview", "--non-interactive", "--color=never")


def command(stack: Stack) -> None:
    with _alone(stack) as alone:
        if not alone:
            print(f"{stack}: another reconcile is at work; this one leaves it to that")
            return
        try:
            print(f"{stack}: {reconcile(stack)}")
        except StackError as e:
            fail(f"reconcile of {stack}: {e}")


def reconcile(stack: str) -> str:
    """What it did, in one line. Raises StackError; a machine that could not be refreshed is an error after the rest
    was done."""
    # Without a limit: every step of an operation has a deadline of its own, and an engine that is killed leaves a lock.
    unrefreshed = ""
    try:
        pulumi("refresh", "--stack", stack, *UNATTENDED, timeout_s=None)
    except StackError as e:
        unrefreshed = str(e)  # one that cannot be reached must not keep the gateway from following the others
    targets = gateway_urns(resources(stack))
    if not targets:
        raise StackError(unrefreshed or "it has no gateway: it is not up; run `make up`")
    aimed = [argument for urn in targets for argument in ("--target", urn)]
    pack = ("--policy-pack", "policies")
    try:
        plan = pulumi("preview", "--stack", stack, "--json", "--non-interactive", *aimed, *pack, timeout_s=None)
        changed = changes(json.loads(plan))
        if changed:
            pulumi("up", "--stack", stack, *UNATTENDED, *aimed, *pack, timeout_s=None)
    except StackError as e:
        raise StackError(
            f"{errors(str(e))}\nreconcile rents nothing: where a machine is gone, run scripts/up {stack}"
        ) from None
    if unrefreshed:
        raise StackError(f"the gateway is as it should be, but not all could be refreshed:\n{unrefreshed}")
    return f"the gateway was changed: {', '.join(changed)}" if changed else "nothing changed"


def gateway_urns(found: Sequence[dict[str, Any]]) -> list[str]:
    """What `up` is aimed at: what is installed for the gateway. Its machines are not: none may be rented, changed or
    ended unattended."""
    return [r["urn"] for r in found if GATEWAY in parents_of(r["urn"]) and r["type"] == INSTALL and not r.get("delete")]


def changes(plan: dict[str, Any]) -> list[str]:
    """Names of the resources that a preview would change."""
    return [name_of(step["urn"]) for step in plan.get("steps") or [] if step["op"] not in ("same", "read")]


def errors(said: str) -> str:
    """The errors of a failed preview, which tells them within its plan; anything else as it is."""
    try:
        found = json.loads(said)["diagnostics"]
    except (ValueError, KeyError, TypeError):
        return said
    return "\n".join(d["message"].strip() for d in found if d.get("severity") == "error")


@contextmanager
def _alone(stack: str) -> Iterator[bool]:
    """Whether this is the only reconcile of the stack; the lock goes with the process, however that ends."""
    STATE.mkdir(exist_ok=True, mode=0o700)
    with (STATE / f"reconcile-{stack.rpartition('/')[2]}.lock").open("w") as f:
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
