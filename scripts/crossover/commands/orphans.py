"""Compares what the clouds list with what the states know. Exits 1 while orphans remain, or where a cloud or a
state could not be asked."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

import typer

from scripts.crossover.shell.options import AsJson
from scripts.crossover.shell.output import console, emit_json, right_aligned, styled, table
from scripts.crossover.stack.engine import reading
from scripts.crossover.stack.orphans import Census, Sighting, Standing, census, end
from scripts.crossover.stack.surgery.begun import undo


def command(
    terminate: Annotated[bool, typer.Option("--terminate", help="End them, after a question.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="End them without a question.")] = False,
    stack_ids: Annotated[
        list[str] | None,
        typer.Option("--stack-id", help="Take machines of this identity, which no state has any more, for orphans."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    if as_json and terminate and not yes:
        print("crossover: --json asks no question: add --yes to --terminate", file=sys.stderr)
        raise typer.Exit(1)
    with reading():
        found = census(stack_ids or ())
        if not as_json:
            _show(found)
        failures: dict[str, str] = {}
        if terminate and (found.orphans or found.begun) and (yes or _agreed(found)):
            found, failures = _ended(found, stack_ids or (), (lambda line: None) if as_json else print)
    if as_json:
        emit_json(_plain(found, failures))
    raise typer.Exit(1 if found.orphans or found.trouble else 0)


def _ended(agreed: Census, stack_ids: Sequence[str], say: Callable[[str], None]) -> tuple[Census, dict[str, str]]:
    """What is left, and what would not end. Looked at again: while the question stood, an `up` may have adopted one."""
    seen = {f.resource_id for f in agreed.orphans}
    found = census(stack_ids)
    chosen = [f.machine for f in found.orphans if f.resource_id in seen]
    failures = end(chosen, say)
    ended = {f"{m.cloud}/{m.id}" for m in chosen} - set(failures)
    failures |= undo([one for one in found.begun if one in agreed.begun], found.known, say)
    left = tuple(one for one in found.begun if one.open)
    trouble = [line for line in found.trouble if line not in {one.said for one in found.begun} - {o.said for o in left}]
    return Census(tuple(f for f in found.sightings if f.resource_id not in ended), tuple(trouble), left), failures


def age(created_at: str, now: datetime) -> str:
    """ "3 d 4 h", "2 h 5 min", "40 min"; empty where the cloud does not tell."""
    try:
        created = datetime.fromisoformat(created_at)
    except ValueError:
        return ""
    passed = now - (created if created.tzinfo else created.replace(tzinfo=UTC))
    minutes = max(0, int(passed.total_seconds()) // 60)
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {rest} min" if hours else f"{rest} min"


def _agreed(found: Census) -> bool:
    begun = f", and what came of {len(found.begun)} create(s)" if found.begun else ""
    return typer.confirm(f"End {len(found.orphans)} machine(s){begun}?", default=False)


def _total(sightings: Sequence[Sighting]) -> Decimal:
    return sum((f.machine.usd_per_hour or Decimal(0) for f in sightings), Decimal(0))


def _show(found: Census) -> None:
    now = datetime.now(UTC)
    strays = [f for f in found.sightings if f.standing is not Standing.KNOWN]
    if strays:
        shown = table("", "machine", "name", "owner", "USD/h", "age")
        right_aligned(shown, "USD/h")
        for f in strays:
            m, owner = f.machine, f.machine.owner
            mark = "" if owner is None else f"{owner.stack}/{owner.key} g{owner.generation}"
            style = "FAIL" if f.standing is Standing.ORPHAN else "WARN"
            price = "unknown" if m.usd_per_hour is None else f"{m.usd_per_hour:.2f}"
            shown.add_row(styled(style, f.standing), f.resource_id, m.name, mark, price, age(m.created_at, now))
        console().print(shown)
    known = len(found.sightings) - len(strays)
    print(f"{len(found.orphans)} orphan(s) at {_total(found.orphans):.2f} USD/h; {known} machine(s) known to a state")
    for f in strays:
        if f.why:
            print(f"{f.resource_id} is {f.standing}: {f.why}", file=sys.stderr)
    for line in found.trouble:
        print(line, file=sys.stderr)


def _plain(found: Census, failures: Mapping[str, str]) -> dict[str, Any]:
    now = datetime.now(UTC)
    rows = []
    for f in found.sightings:
        m, owner = f.machine, f.machine.owner
        row: dict[str, Any] = {
            "id": f.resource_id,
            "cloud": m.cloud,
            "name": m.name,
            "standing": str(f.standing),
            "stack": owner.stack if owner else "",
            "key": owner.key if owner else "",
            "generation": owner.generation if owner else None,
            "stackId": owner.stack_id if owner else "",
            "usdPerHour": None if m.usd_per_hour is None else f"{m.usd_per_hour:f}",
            "createdAt": m.created_at,
            "age": age(m.created_at, now),
        }
        rows.append(row | ({"why": f.why} if f.why else {}) | _failure(f.resource_id, failures))
    return {"machines": rows, "orphanUsdPerHour": f"{_total(found.orphans):f}", "trouble": list(found.trouble)}


def _failure(resource_id: str, failures: Mapping[str, str]) -> dict[str, str]:
    return {"notEnded": failures[resource_id]} if resource_id in failures else {}
