"""What `crossover doctor` makes of what it sees. Pure: facts in, lines out."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from difflib import get_close_matches

from cost_guard import wording
from cost_guard.catalogue.catalogue import Catalogue
from cost_guard.codes import Level
from cost_guard.units import HOURS_PER_MONTH
from cost_guard.verdict.rules.price_fresh import age_of_price
from providers.base import Offer
from providers.preflight import Check, Grade
from scripts.crossover.shell.clouds import CloudAnswer

LEAST_ENGINE, LEAST_PYTHON = "3.259.0", "3.11"
"""As scripts/bootstrap demands them."""
PRICE_DRIFT = Decimal("0.05")
"""A live price further than this from the catalogue's makes the gate's verdict one on another deployment."""
PRICES = "policies/cost_guard/catalogue/data/prices.toml"


@dataclass(frozen=True, slots=True)
class Wanted:
    """One rung of one node's ladder, as far as it is looked at here."""

    node: str
    cloud: str
    region: str
    sku: str
    max_usd_per_hour: Decimal | None = None
    catalogue_key: str | None = None
    """What the gate reckons with; None for what has no price row of its own (a gateway, a stand-in)."""

    @property
    def place(self) -> tuple[str, str, str]:
        """What offers are found by."""
        return (self.cloud, self.region, self.sku)


def version(name: str, found: str | None, least: str, remedy: str) -> Check:
    """Whether a version that may be prefixed with "v" and may be a pre-release is new enough."""
    if found is None:
        return Check(name, Grade.FAIL, "not there", remedy)
    if _numbers(found) < _numbers(least):
        return Check(name, Grade.FAIL, f"{found}; {least} or newer is needed", remedy)
    return Check(name, Grade.OK, found)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", re.split(r"[-+]", text)[0])))


def programs(missing: Sequence[str]) -> Check:
    """What the cloud `local` starts on this computer."""
    if missing:
        return Check("system programs", Grade.FAIL, f"missing: {', '.join(missing)}", "run scripts/bootstrap")
    return Check("system programs", Grade.OK, "all there")


def credentials(answer: CloudAnswer[Offer], used: bool) -> Check:
    """Whether a cloud answers an authenticated call. What the stack does not use cannot fail it."""
    name = f"cloud {answer.cloud}"
    if answer.missing and not used:
        return Check(name, Grade.OK, "not configured, and the stack does not use it")
    if answer.missing:
        return Check(name, Grade.FAIL, answer.missing, "set the credentials, or take the cloud from the candidates")
    if answer.failed:
        level = Grade.FAIL if used else Grade.WARN
        return Check(name, level, answer.failed, "see the check of the way out; else the vendor's status page")
    free = sum(offer.available is True for offer in answer.found)
    untold = any(offer.available is None for offer in answer.found)
    available = f"{free} available" if not untold else "what is free only a launch tells"
    return Check(name, Grade.OK, f"answers: {wording.count(len(answer.found), 'offer')}, {available}")


def quota_untold(cloud: str) -> Check:
    """Of a renting cloud whose API has no word on it."""
    remedy = (
        "look at the limits in the vendor's console: one that is too low ends `up` there, or leads to the next rung"
    )
    return Check(f"quota of {cloud}", Grade.WARN, "cannot be asked: its API does not tell", remedy)


def candidates(
    wanted: Sequence[Wanted],
    answers: Iterable[CloudAnswer[Offer]],
    catalogue: Catalogue,
    standing: Collection[str] = (),
    *,
    today: date,
) -> list[Check]:
    """One line for each rung that a node names: it can be had at a price below the ceiling and near the catalogue's,
    which is not too old today.

    A rung that cannot be had warns while every node that names it has another one, or has its machine already (the
    nodes that are `standing`); else it fails.
    """
    asked = {answer.cloud: answer.found for answer in answers if not answer.trouble}
    problems = {rung: problem(rung, asked) for rung in wanted}
    served = {*standing, *(rung.node for rung, why in problems.items() if why is None)}
    stuck = {rung.node for rung in wanted} - served
    checks = []
    for place in dict.fromkeys(rung.place for rung in wanted):
        rungs = [rung for rung in wanted if rung.place == place]
        refused = next((rung for rung in rungs if problems[rung] is not None), None)
        name = "/".join(place)
        if refused is None:
            checks.append(_price(name, rungs, asked[place[0]], catalogue, today))
            continue
        detail, remedy = problems[refused] or ("", "")
        waiting = sorted({rung.node for rung in rungs} & stuck)
        if waiting:
            detail += f"; nothing else can be had for node {', '.join(waiting)}"
        checks.append(Check(name, Grade.FAIL if waiting else Grade.WARN, detail, remedy))
    return checks


def problem(rung: Wanted, asked: Mapping[str, Sequence[Offer]]) -> tuple[str, str] | None:
    """Why the rung cannot be had now, and what to do; None if it can."""
    offers = asked.get(rung.cloud)
    if offers is None:
        return f"{rung.cloud} could not be asked", "see above"
    if not any(o.region == rung.region for o in offers):
        return f"{rung.cloud} has no region {rung.region}", _nearest(rung.region, {o.region for o in offers})
    here = [o for o in offers if o.region == rung.region]
    fitting = [o for o in here if o.sku == rung.sku]
    if not fitting:
        return f"{rung.cloud} has no {rung.sku} in {rung.region}", _nearest(rung.sku, {o.sku for o in here})
    if all(o.available is False for o in fitting):
        elsewhere = sorted({o.region for o in offers if o.sku == rung.sku and o.available})
        remedy = f"it is free in {', '.join(elsewhere)}" if elsewhere else "none is free elsewhere in this cloud"
        return "none is free now", f"{remedy}: add a candidate, or wait"
    price = _cheapest(fitting)
    if price is not None and rung.max_usd_per_hour is not None and price > rung.max_usd_per_hour:
        detail = f"{price:f} USD/h, above the ceiling of {rung.max_usd_per_hour:f}"
        return detail, "raise maxUsdPerHour, or add a candidate"
    return None


def _price(name: str, rungs: Sequence[Wanted], offers: Sequence[Offer], catalogue: Catalogue, today: date) -> Check:
    here = [o for o in offers if (o.region, o.sku) == rungs[0].place[1:]]
    price = _cheapest(here)
    detail = ("free" if any(o.available for o in here) else "offered") + (
        f" at {price:f} USD/h" if price is not None else f", price not told: {here[0].description}"
    )
    ceilings = [rung.max_usd_per_hour for rung in rungs if rung.max_usd_per_hour is not None]
    detail += f", ceiling {min(ceilings):f}" if ceilings else ""
    key = rungs[0].catalogue_key
    if key is None:
        return Check(name, Grade.OK, detail)
    row = catalogue.prices.get(key)
    if row is None:
        near = catalogue.nearest(key)
        hint = f"; the nearest row is {near}" if near else ""
        remedy = f"the gate will block: add a row {key} to {PRICES}, with source and date{hint}"
        return Check(name, Grade.FAIL, f"{detail}; the gate knows no price of it", remedy)
    reckoned = row.usd_per_month / HOURS_PER_MONTH
    drift = Decimal(0) if price is None else price / reckoned - 1
    detail += f"; the gate reckons {reckoned:.2f} of {row.date}"
    detail += "" if price is None else f": {'+' if drift >= 0 else ''}{wording.percent(drift)}"
    renew = f"bring the row {key} in {PRICES} up to date, then judge anew"
    if old := age_of_price(row, today):
        level = Grade.FAIL if old.level is Level.BLOCK else Grade.WARN
        return Check(name, level, f"{detail}, {(today - row.date).days} days old", renew)
    if abs(drift) > PRICE_DRIFT:
        return Check(name, Grade.WARN, detail, renew)
    return Check(name, Grade.OK, detail)


def _cheapest(offers: Sequence[Offer]) -> Decimal | None:
    """None where the cloud tells no price."""
    return min(
        (o.usd_per_hour for o in offers if o.available is not False and o.usd_per_hour is not None), default=None
    )


def _nearest(name: str, known: set[str]) -> str:
    near = get_close_matches(name, sorted(known), n=1)
    return f"did you mean {near[0]}?" if near else f"choose one of {', '.join(sorted(known)) or 'none'}"
