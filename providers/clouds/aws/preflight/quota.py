"""The account's limits on running vCPU, and what machines need of them: pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


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


def needed(instance_types: Iterable[str], vcpus: Mapping[str, int]) -> Counter[Quota]:
    """Quota → vCPU that all machines need together. `instance_types`: one a machine; `vcpus`: type → vCPU."""
    total: Counter[Quota] = Counter()
    for instance_type in instance_types:
        for quota in QUOTAS:
            if family(instance_type) in quota.families:
                total[quota] += vcpus[instance_type]
    return total


def request(quota: Quota, vcpus: int, region: str) -> str:
    """The command that asks AWS to raise it."""
    return (
        f"aws service-quotas request-service-quota-increase --region {region} --service-code ec2 "
        f"--quota-code {quota.code} --desired-value {vcpus}"
    )
