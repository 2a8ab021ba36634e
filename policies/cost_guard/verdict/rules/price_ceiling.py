"""Rule price-ceiling: what a node may cost at most is near the price that is reckoned with."""

from __future__ import annotations

from cost_guard.codes import Level, Severity
from cost_guard.units import HOURS_PER_MONTH
from cost_guard.verdict.rule import Objection, Question, VerdictRule
from cost_guard.verdict.words import money
from cost_guard.wording import usd

FAR = 2
"""Times the catalogue's price: a ceiling above it is none."""


def find(asked: Question) -> Objection | None:
    """BLOCK where a ceiling is missing on a market, or far above the price; WARN where at the ceilings it does not
    pay."""
    trouble, loses = list(dict.fromkeys(_trouble(asked))), _loses_at_ceilings(asked)
    if trouble:
        return Objection(Level.BLOCK, " ".join(filter(None, [*trouble, loses])))
    return Objection(Level.WARN, loses) if loses else None


def _trouble(asked: Question) -> list[str]:
    """Of each candidate, in the order of the nodes."""
    found = []
    for key, ladder in asked.proposal.scenario.fleet.ladders.items():
        for candidate in ladder:
            name, price = candidate.catalogue_key, asked.catalogue.prices.get(candidate.catalogue_key)
            ceiling = candidate.max_usd_per_hour
            if ceiling is None:
                if asked.catalogue.cloud(candidate.cloud).market:
                    found.append(
                        f"{name} has no maxUsdPerHour, and its price is each host's own: set one (node {key})."
                    )
                continue
            hourly = None if price is None else price.usd_per_month / HOURS_PER_MONTH
            if hourly is not None and ceiling > FAR * hourly:
                found.append(
                    f"a maxUsdPerHour of {usd(ceiling)} is more than {FAR} times the price of {name}, {usd(hourly)}/h: "
                    f"lower it (node {key})."
                )
    return found


def _loses_at_ceilings(asked: Question) -> str:
    """Whether the fleet would pay if every node cost what it may; empty where it would, or has no ceiling."""
    losing = [one for one in asked.facts.at_ceilings if not one.pays(one.volume)]
    if not losing:
        return ""
    worst = max(losing, key=lambda one: one.cost(one.volume))
    cost, managed = worst.cost(worst.volume), worst.managed(worst.volume)
    return (
        f"If every node cost its maxUsdPerHour, self-hosting would cost {money(cost)}/month against {money(managed)} "
        "managed: it would not pay."
    )


RULE = VerdictRule(
    code="price-ceiling",
    position=56,
    severity=Severity.MEDIUM,
    demand="A ceiling must be near the price that is reckoned with, and there where the price moves.",
    remedy="Set maxUsdPerHour of each candidate a little above the catalogue's price.",
    asks=Question,
    find=find,
    repair_goes_through=True,
)
