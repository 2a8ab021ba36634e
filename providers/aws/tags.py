"""The ownership mark as EC2 tags: pure."""

from __future__ import annotations

from collections.abc import Mapping

from providers.base import Owner
from providers.naming import machine_name, mark, owner_of

MARK = "crossover:mark"
FLEET = "crossover:fleet"
"""Project, stack and role: what siblings share, so that AWS can filter by it."""
WAY_IN = "crossover:way-in"
"""How SSH gets in, "ssh" or "ssm", for who knows the machine by its tags alone."""


def fleet_mark(project: str, stack: str, role: str) -> str:
    """The value of FLEET."""
    return f"{project}:{stack}:{role}"


def machine_tags(owner: Owner) -> dict[str, str]:
    """What a machine and its volumes carry."""
    return {"Name": machine_name(owner), MARK: mark(owner), FLEET: fleet_mark(*owner.fleet)}


def shared_tags(project: str, stack: str, name: str) -> dict[str, str]:
    """What everything else carries that the stack makes."""
    return {"Name": f"{project}-{stack}-{name}", FLEET: fleet_mark(project, stack, "shared")}


def key_of(tags: Mapping[str, str] | None) -> str | None:
    """The node's key from a machine's tags; None if it carries no mark of ours."""
    owner = owner_of((tags or {}).get(MARK, ""))
    return None if owner is None else owner.key
