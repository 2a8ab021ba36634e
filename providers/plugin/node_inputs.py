"""The inputs of a node: what is wrong with them, what they ask for, and those that an imported machine would have."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from pulumi.provider.experimental.provider import CheckFailure

from providers.base import Candidate, Capability, Clouds, Machine, Owner
from providers.errors import CloudError, InvalidRequest
from providers.plugin.values import UNKNOWN, Plain, contains_unknown
from providers.renting.rent import Request

DEFAULT_DEADLINE_S = 1800
"""Lambda's 8-GPU machines boot in 10–15 minutes (facts of the vendor): twice that."""
STACK_ID = "stackId"
"""The stack's identity. A node of before there were any has none in the state until it is changed otherwise."""
NO_CAPACITY = ("fail", "degrade")

Capabilities = Callable[[str], frozenset[Capability]]
"""What the cloud of a name can do."""


def complaints(olds: Plain, news: Plain, clouds: Clouds, capabilities: Capabilities) -> list[CheckFailure]:
    """Everything wrong that can be told without asking a cloud, but for inputs that are missing or unknown."""
    failures = []
    for key in ("key", "role", "project", "stack"):
        if key in olds and key in news and olds[key] != news[key]:
            failures.append(
                CheckFailure(key, f"the {key} of a node never changes: add a new node, then remove this one")
            )
    for key in ("generation", "maxPerFailureDomain", "deadlineS"):
        if news.get(key) not in (None, UNKNOWN) and not _at_least_one(news[key]):
            failures.append(CheckFailure(key, f"{key} must be a number of 1 or more, got {news[key]!r}"))
    if not isinstance(news.get("ports", {}), dict | type(UNKNOWN)):
        failures.append(CheckFailure("ports", "ports must map a service to its port"))
    if news.get("onNoCapacity") not in (None, UNKNOWN, *NO_CAPACITY):
        failures.append(CheckFailure("onNoCapacity", f"onNoCapacity must be one of {', '.join(NO_CAPACITY)}"))
    candidates, settings = news.get("candidates"), news.get("settings")
    return [*failures, *_of_candidates(candidates, settings, clouds, capabilities), *_of_settings(settings, clouds)]


def _of_settings(settings: Any, clouds: Clouds) -> list[CheckFailure]:
    if settings is None or contains_unknown(settings):
        return []
    failures = []
    for name, section in settings.items():
        try:
            clouds(name).check_settings(section)
        except CloudError as e:
            failures.append(CheckFailure(f"settings.{name}", str(e)))
    return failures


def _of_candidates(candidates: Any, settings: Any, clouds: Clouds, capabilities: Capabilities) -> list[CheckFailure]:
    """Also that a cloud without a section of its own needs none."""
    if candidates is None or contains_unknown(candidates):
        return []
    if not isinstance(candidates, list) or not candidates:
        return [CheckFailure("candidates", "a node needs a list of at least one candidate")]
    failures = []
    judged = None if contains_unknown(settings) else set(settings or ())
    for index, item in enumerate(candidates):
        try:
            cloud = clouds(candidate(item).cloud)
            if Capability.DECLARED in capabilities(cloud.name):
                raise InvalidRequest(f"a machine at {cloud.name} is a resource of the program, and no rung of a ladder")
            if judged is not None and cloud.name not in judged:
                judged.add(cloud.name)
                cloud.check_settings({})
        except CloudError as e:
            failures.append(CheckFailure(f"candidates[{index}]", str(e)))
    return failures


def request(news: Plain) -> Request:
    """The node to rent."""
    return Request(
        owner=owner(news),
        candidates=candidates(news),
        ssh_public_key=news["sshPublicKey"],
        ssh_private_key=news["sshPrivateKey"],
        ports=news["ports"],
        settings=news["settings"],
        max_per_failure_domain=int(news["maxPerFailureDomain"]),
        deadline_s=float(news["deadlineS"]),
    )


def owner(news: Plain) -> Owner:
    """The mark of the node's machine."""
    known = (news["project"], news["stack"], news["role"], news["key"], int(news["generation"]))
    return Owner(*known, news.get(STACK_ID, ""))


def candidates(news: Plain) -> list[Candidate]:
    """The node's ladder. Raises InvalidRequest."""
    return [candidate(item) for item in news["candidates"]]


def candidate(item: Any) -> Candidate:
    """Raises InvalidRequest for what is no candidate."""
    if not isinstance(item, dict) or not all(isinstance(item.get(key), str) for key in ("cloud", "region", "sku")):
        raise InvalidRequest(f"a candidate needs cloud, region and sku, got {item!r}")
    return Candidate(
        cloud=item["cloud"],
        region=item["region"],
        sku=item["sku"],
        max_usd_per_hour=_ceiling(item.get("maxUsdPerHour")),
        stands_for=item.get("standsFor"),
    )


def imported(machine: Machine) -> Plain:
    """The inputs a machine would have been made with, from its mark. What it cannot tell is filled in by `up`."""
    if machine.owner is None:
        raise InvalidRequest(f"machine {machine.id} carries no mark of this project and cannot be imported")
    return {
        "key": machine.owner.key,
        "role": machine.owner.role,
        "project": machine.owner.project,
        "stack": machine.owner.stack,
        "generation": machine.owner.generation,
        STACK_ID: machine.owner.stack_id,
        "candidates": [{"cloud": machine.cloud, "region": machine.region, "sku": machine.sku}],
        "ports": dict(machine.listen or machine.ports),
        "sshPublicKey": "",
        "sshPrivateKey": "",
        "maxPerFailureDomain": 1,
        "deadlineS": DEFAULT_DEADLINE_S,
        "onNoCapacity": "fail",
        "settings": {},
    }


def _at_least_one(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 1


def _ceiling(given: Any) -> Decimal | None:
    """A number, or a decimal string, as money travels."""
    if given is None:
        return None
    try:
        usd_per_hour = Decimal(str(given))
    except InvalidOperation:
        usd_per_hour = Decimal("NaN")
    if isinstance(given, bool) or not usd_per_hour.is_finite() or usd_per_hour <= 0:
        raise InvalidRequest(f"maxUsdPerHour must be a positive number of USD, got {given!r}")
    return usd_per_hour
