"""What a machine costs an hour: how a vendor's figure is read, and whether the machine is within its ceiling. Nothing
else compares the two."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal, InvalidOperation
from typing import Any

from providers.base import Candidate, Machine, MachineState
from providers.errors import NoCapacity

NOISE_USD_PER_HOUR = Decimal("0.01")
"""Vendors send prices as floats, Vast.ai as a sum of many."""


class TooDear(NoCapacity):
    """A machine costs more than it may, or its cloud does not say what it costs."""


def usd(told: Any) -> Decimal | None:
    """A price as a vendor told it, a number or its text. None, for unknown, unless it is finite and above zero."""
    if isinstance(told, bool) or not isinstance(told, int | float | str | Decimal):
        return None
    try:
        found = Decimal(str(told).strip())
    except (InvalidOperation, ValueError):
        return None
    return found if found.is_finite() and found > 0 else None


def said(usd_per_hour: Decimal | None) -> str:
    """For people."""
    return "an unknown price" if usd_per_hour is None else f"{usd_per_hour:f} USD/h"


def check_quote(cloud: str, sku: str, usd_per_hour: Decimal | None, ceiling: Decimal | None) -> Decimal:
    """What the cloud asks for the SKU before anything is rented. Raises NoCapacity, so that the next candidate is
    tried, where that is unknown or above the ceiling."""
    if usd_per_hour is None:
        raise NoCapacity(f"{cloud} tells no price for {sku} that is a number above zero, so it is not rented")
    if ceiling is not None and usd_per_hour > ceiling:
        raise NoCapacity(
            f"{cloud} asks {said(usd_per_hour)} for {sku}, above the ceiling of {said(ceiling)}: raise maxUsdPerHour "
            "or let the next candidate be tried"
        )
    return usd_per_hour


def ceiling_of(machine: Machine, candidates: Iterable[Candidate]) -> Decimal | None:
    """What the machine may cost: that of its rung, the highest where several fit. One whose rung is not on the ladder
    any more may cost what the ladder's dearest may. None: nothing limits it."""
    ladder = list(candidates)
    rungs = [c for c in ladder if (c.cloud, c.sku) == (machine.cloud, machine.sku)]
    rungs = [c for c in rungs if c.region == machine.region] or rungs or ladder
    ceilings = [c.max_usd_per_hour for c in rungs]
    return None if None in ceilings else max((c for c in ceilings if c is not None), default=None)


def breach(machine: Machine, candidates: Iterable[Candidate]) -> str:
    """Why the machine may not go on at its price; empty where it may. One that does not run may tell its price yet."""
    ceiling, usd_per_hour = ceiling_of(machine, candidates), machine.usd_per_hour
    if usd_per_hour is None:
        runs = machine.state is MachineState.RUNNING
        return f"{machine.cloud} tells no price of machine {machine.id} that is a number above zero" if runs else ""
    if ceiling is None or usd_per_hour <= ceiling + NOISE_USD_PER_HOUR:
        return ""
    return f"machine {machine.id} at {machine.cloud} costs {said(usd_per_hour)}, above its ceiling of {said(ceiling)}"


def held(candidates: Iterable[Candidate]) -> Callable[[Machine], None]:
    """Raises TooDear for a machine in breach."""
    ladder = list(candidates)

    def hold(machine: Machine) -> None:
        if why := breach(machine, ladder):
            raise TooDear(why)

    return hold
