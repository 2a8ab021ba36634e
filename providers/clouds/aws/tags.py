"""The ownership mark as EC2 tags: pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from providers.base import Owner
from providers.renting.answers.price import usd
from providers.renting.naming import machine_name, mark, owner_of

MARK = "crossover:mark"
STACK_ID = "crossover:stack-id"
"""The stack's identity: a tag of its own, which an edit never adds to a machine that runs."""
FLEET = "crossover:fleet"
"""Project, stack and role: what siblings share, so that AWS can filter by it."""
WAY_IN = "crossover:way-in"
"""How SSH gets in, "ssh" or "ssm", for who knows the machine by its tags alone."""

PORTS = "crossover:ports"
"""Service → port, as no listing of EC2's tells it."""
USD_PER_HOUR = "crossover:usd-per-hour"
"""The catalogue's price when the machine was launched. An edit never touches it."""


def fleet_mark(project: str, stack: str, role: str) -> str:
    """The value of FLEET."""
    return f"{project}:{stack}:{role}"


def machine_tags(owner: Owner) -> dict[str, str]:
    """What a machine and its volumes carry, beside the identity. It is the same for a machine of before identities."""
    named = replace(owner, stack_id="")
    return {"Name": machine_name(named), MARK: mark(named), FLEET: fleet_mark(*owner.fleet)}


def owner_in(tags: Mapping[str, str]) -> Owner | None:
    """Whose a machine with these tags is; None for what is no mark of ours."""
    owner = owner_of(tags.get(MARK, ""))
    return owner and replace(owner, stack_id=tags.get(STACK_ID, ""))


def shared_tags(project: str, stack: str, name: str) -> dict[str, str]:
    """What everything else carries that the stack makes."""
    return {"Name": f"{project}-{stack}-{name}", FLEET: fleet_mark(project, stack, "shared")}


def told(ports: Mapping[str, int], usd_per_hour: Decimal | None) -> dict[str, str]:
    """What a machine carries so that a listing tells all that `providers.base.Machine` has."""
    known = {} if usd_per_hour is None else {USD_PER_HOUR: f"{usd_per_hour:f}"}
    return {PORTS: " ".join(f"{service}={port}" for service, port in sorted(ports.items())), **known}


def ports_of(tags: Mapping[str, str]) -> dict[str, int]:
    """The inverse of `told`; what somebody edited beyond reading is left out."""
    pairs = (pair.partition("=") for pair in tags.get(PORTS, "").split())
    return {service: int(port) for service, _, port in pairs if port.isdecimal()}


def usd_per_hour_of(tags: Mapping[str, str]) -> Decimal | None:
    """The inverse of `told`; None where no price can be read."""
    return usd(tags.get(USD_PER_HOUR))
