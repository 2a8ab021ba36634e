"""What is asked of the market, and which of its offers are really that. Pure.

Fields and operators: docs.vast.ai/api-reference/search/search-offers. Answers are checked against the very query they
answer, because a filter that the server overlooks would rent a machine of the wrong kind, place or price.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from typing import Any

from providers.clouds.vastai.config import VastaiSettings
from providers.errors import InvalidRequest
from providers.renting.answers.price import usd
from providers.renting.naming import nearest

Offer = Mapping[str, Any]
Query = dict[str, Any]

ANY = "any"
ISO_3166 = """
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA
    CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB
    GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG
    KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV
    MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB
    SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US
    UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW
"""
COUNTRIES = frozenset(ISO_3166.split())
"""Two-letter codes, as Vast's `geolocation` takes them."""

GPU_NAME = "A100 SXM4"
MEMORY_MB = {40: (38_000, 48_000), 80: (76_000, 96_000)}
"""GiB of one GPU → the least and the most that hosts report: the name covers both kinds."""
SEARCH_LIMIT = 64
"""More than this the search never answers."""
CENT_TENTH = Decimal("0.001")
"""The smallest bid, and the step of ours."""


LOST_HOUR = 10
"""What an hour without the machine costs, in hours of it. Chosen, not measured: a managed API answers meanwhile, and a
machine that fails at its start costs half an hour of rent and an install. By price alone the cheapest dud is rented
again and again (dstackai/dstack#3898: offers that cost less are often less reliable)."""


@dataclass(frozen=True, slots=True)
class Sku:
    """What of the market a SKU means."""

    gpus: int
    memory_gib: int
    interruptible: bool

    @property
    def name(self) -> str:
        return f"{self.gpus}x-a100-sxm4-{self.memory_gib}gb" + ("-interruptible" if self.interruptible else "")


SKUS: Mapping[str, Sku] = {
    sku.name: sku
    for gpus in (8, 4, 2, 1)
    for memory_gib in (80, 40)
    for interruptible in (False, True)
    for sku in (Sku(gpus, memory_gib, interruptible),)
}


def sku_of(name: str) -> Sku:
    """Raises InvalidRequest that names the nearest."""
    if name not in SKUS:
        raise InvalidRequest(f"vastai has no SKU {name!r}: {nearest(name, SKUS)}")
    return SKUS[name]


def check_region(region: str) -> None:
    """Raises InvalidRequest unless it is "any" or a country."""
    if region != ANY and region not in COUNTRIES:
        raise InvalidRequest(
            f"vastai has no region {region!r}: {nearest(region.upper(), COUNTRIES)} (country codes), or {ANY}"
        )


def query(sku: Sku, region: str, settings: VastaiSettings, ports: int, ceiling: Decimal | None) -> Query:
    """The body of a search. `ceiling` (USD/h, the disk included) is None only where nothing is to be rented."""
    least_mb, most_mb = MEMORY_MB[sku.memory_gib]
    asked: Query = {
        "gpu_name": {"in": [GPU_NAME]},
        "num_gpus": {"eq": sku.gpus},
        "gpu_ram": {"gte": least_mb, "lte": most_mb},
        "verified": {"eq": True},
        "datacenter": {"eq": True},
        "rentable": {"eq": True},
        "rented": {"eq": False},
        "reliability": {"gte": settings.min_reliability},
        "direct_port_count": {"gte": max(ports, 1)},
        "cuda_max_good": {"gte": float(settings.min_cuda)},
        "disk_space": {"gte": settings.disk_gb},
        "duration": {"gte": settings.min_days * 24 * 3600},
    }
    if ceiling is not None:
        asked["dph_total"] = {"lte": float(ceiling)}
    if region != ANY:
        asked["geolocation"] = {"in": [region]}
    return {
        **asked,
        "type": "bid" if sku.interruptible else "on-demand",
        "order": [["dph_total", "asc"]],
        "limit": SEARCH_LIMIT,
        "allocated_storage": settings.disk_gb,  # so that dph_total holds the price of our disk
    }


def country(offer: Offer) -> str:
    """ "Washington, US" → "US"."""
    return str(offer.get("geolocation") or "").rpartition(",")[2].strip()


def unmet(offer: Offer, asked: Query) -> str:
    """The first thing asked for that the offer does not show, in words; empty if it is what was asked for."""
    needed = IDENTITY | (BIDDING if asked["type"] == "bid" else set())
    if missing := sorted(name for name in needed if offer.get(name) is None):
        return f"{missing[0]} is not shown"
    if type(offer["id"]) is not int or usd(offer["dph_total"]) is None or not all(map(_finite, _amounts(offer, asked))):
        return "its id or its price cannot be read"
    for name, conditions in asked.items():
        if not isinstance(conditions, dict):
            continue
        shown = SHOWN[name](offer) if name in SHOWN else offer.get(name)
        for sign, wanted in conditions.items():
            if shown is None or not _holds(sign, shown, wanted):
                return f"{name} is {shown!r}, asked was {sign} {wanted!r}"
    return ""


def best_first(offers: Iterable[Offer], sku: Sku) -> list[Offer]:
    """By price and reliability: `price × (1 + 10 × (1 − reliability))`; then by id, so that the same market gives the
    same order."""
    return sorted(offers, key=lambda offer: (weighed(offer, sku), offer["id"]))


def weighed(offer: Offer, sku: Sku) -> Decimal:
    """USD/h, as if each hour that its host's record lets one expect to lose cost LOST_HOUR of the others."""
    lost = 1 - Decimal(str(SHOWN["reliability"](offer)))
    return usd_per_hour(offer, sku) * (1 + LOST_HOUR * lost)


def usd_per_hour(offer: Offer, sku: Sku) -> Decimal:
    """What it costs with its disk: at the least bid that wins, where the SKU is interruptible."""
    if not sku.interruptible:
        return _usd(offer["dph_total"])
    return _usd(offer["min_bid"]) + beside_gpus(offer)


def bid(offer: Offer, ceiling: Decimal, wished: Decimal | None) -> Decimal | None:
    """USD/h for the GPUs, such that bid and disk stay within the ceiling; None where that does not win the machine."""
    most = min(wished or ceiling, ceiling - beside_gpus(offer), Decimal(128)).quantize(CENT_TENTH, ROUND_DOWN)
    return most if most >= max(_usd(offer["min_bid"]), CENT_TENTH) else None


def beside_gpus(offer: Offer) -> Decimal:
    """USD/h for the disk: `dph_base` is the price of the GPUs, `dph_total` that of everything."""
    return max(_usd(offer["dph_total"]) - _usd(offer["dph_base"]), Decimal(0))


def _amounts(offer: Offer, asked: Query) -> list[Any]:
    """The figures that prices are reckoned from beside `dph_total`; a host may bid 0."""
    return [offer[name] for name in sorted(BIDDING)] if asked["type"] == "bid" else []


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _holds(sign: str, shown: Any, wanted: Any) -> bool:
    try:
        return OPERATORS[sign](shown, wanted)
    except TypeError:  # a text where a number belongs
        return False


def _usd(value: Any) -> Decimal:
    return Decimal(str(value))


IDENTITY = frozenset({"id", "machine_id", "host_id", "dph_total"})
BIDDING = frozenset({"min_bid", "dph_base"})
OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "gte": operator.ge,
    "lte": operator.le,
    "in": lambda shown, wanted: shown in wanted,
}
SHOWN: Mapping[str, Callable[[Offer], Any]] = {
    "verified": lambda offer: offer.get("verification") == "verified",
    "datacenter": lambda offer: offer.get("hosting_type") == 1,
    "rented": lambda offer: bool(offer.get("rented")),
    "reliability": lambda offer: offer.get("reliability2", offer.get("reliability")),
    "geolocation": country,
}
"""Where an offer shows a thing under another name than the one under which it is asked for."""
