"""The account's limits on running vCPU, and what a stack needs of them: pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from providers.errors import QuotaExceeded


@dataclass(frozen=True, slots=True)
class Quota:
    """One limit of Service Quotas, service `ec2`; it counts vCPU of all running instances of its families."""

    code: str
    name: str
    families: frozenset[str]
    """The letters that instance types begin with."""


QUOTAS = (
    Quota("L-417A185B", "Running On-Demand P instances", frozenset({"p"})),
    Quota("L-DB2E81BA", "Running On-Demand G and VT instances", frozenset({"g", "vt"})),
    Quota("L-1216C47A", "Running On-Demand Standard instances", frozenset("acdhimrtz")),
)


def family(instance_type: str) -> str:
    """The letters before the generation: "p" of p4de.24xlarge, "vt" of vt1.3xlarge."""
    return instance_type[: next((i for i, c in enumerate(instance_type) if not c.isalpha()), None)]


def needed(instance_types: Mapping[str, str], vcpus: Mapping[str, int]) -> dict[Quota, int]:
    """Quota → vCPU that all machines need together. `instance_types`: machine → type; `vcpus`: type → vCPU."""
    total: Counter[Quota] = Counter()
    for instance_type in instance_types.values():
        for quota in QUOTAS:
            if family(instance_type) in quota.families:
                total[quota] += vcpus[instance_type]
    return dict(total)


def shortfall(quota: Quota, needed_vcpus: int, limit_vcpus: float, region: str) -> str | None:
    """What is missing, where, and how to raise it; None if the limit suffices."""
    if limit_vcpus >= needed_vcpus:
        return None
    return (
        f"the account's quota for {quota.name} in {region} is {limit_vcpus:g} vCPU and the stack needs {needed_vcpus}. "
        f"Nothing was created. Raise it, which AWS may take days over: aws service-quotas "
        f"request-service-quota-increase --region {region} --service-code ec2 --quota-code {quota.code} "
        f"--desired-value {needed_vcpus}"
    )


def check(needed_vcpus: Mapping[Quota, int], limit_vcpus: Callable[[Quota], float], region: str) -> None:
    """Raises QuotaExceeded with a line for each quota that is too low."""
    lines = [shortfall(quota, vcpus, limit_vcpus(quota), region) for quota, vcpus in needed_vcpus.items()]
    if missing := [line for line in lines if line]:
        raise QuotaExceeded("\n".join(missing))
