"""What the program makes besides its nodes, at list prices: disks, gateways, load balancers, other instances."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from cost_guard.catalogue.catalogue import RESOURCES, Catalogue
from cost_guard.scenario.proposal import Proposal
from cost_guard.scenario.sections.beside import BilledResource


class NoPrice(Exception):
    """The catalogue has no price for it; the message says which row is missing."""


@dataclass(frozen=True)
class ResourceFacts:
    """Of all resources together."""

    usd_per_month: Fraction
    """Σ of their list prices; what has none is not in it."""
    listed: tuple[tuple[Fraction, str], ...] = ()
    """USD a month and words of each kind: "3 × disk of 500 GB gp3"."""
    unpriced: tuple[str, ...] = ()
    """What has no price, and which row is missing."""


def resource_facts(proposal: Proposal, catalogue: Catalogue) -> ResourceFacts:
    """Of the proposal's resources, and of what a plan makes more."""
    listed, unpriced = [], list[str]()
    for one in proposal.resources:
        try:
            usd, words = list_price(one, catalogue)
        except NoPrice as error:
            unpriced.append(str(error))
        else:
            listed.append((usd * one.count, f"{one.count} × {words}"))
    if proposal.more_usd_per_month:
        listed.append((Fraction(proposal.more_usd_per_month), "what the plan makes besides"))
    return ResourceFacts(sum((usd for usd, _ in listed), Fraction(0)), tuple(listed), tuple(unpriced))


def list_price(one: BilledResource, catalogue: Catalogue) -> tuple[Fraction, str]:
    """USD a month of one of them, and its words; a price of another region says so. Raises NoPrice."""
    node = catalogue.prices.get(one.row)
    if node is not None:
        return Fraction(node.usd_per_month), f"{one.what}{_elsewhere(node.region, one.region)}"
    cloud, _, kind = one.row.partition("/")
    key = one.row if "/" in kind else f"{cloud}/ec2/{kind}"
    row = catalogue.resources.get(f"{key}@{one.region}") or catalogue.resources.get(key)
    if row is None:
        raise NoPrice(f"nothing says what {one.what} costs; add a row {key!r} to the pack's data/{RESOURCES}")
    return Fraction(row.usd_per_month(one.gb, one.iops, one.mbps)), f"{one.what}{_elsewhere(row.region, one.region)}"


def _elsewhere(of: str, region: str) -> str:
    return f" (price of {of})" if of and region and of != region else ""


def told(listed: Iterable[tuple[Fraction, str]]) -> list[str]:
    """Their words, the dearest first."""
    return [words for _, words in sorted(listed, key=lambda one: (-one[0], one[1]))]
