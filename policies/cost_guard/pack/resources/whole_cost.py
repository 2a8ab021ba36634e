"""Rule whole-cost: with all that the program makes besides nodes and has a list price, the fleet still pays.

What its configuration tells (root disks, the gateway's machine) is in the verdict on the Fleet's inputs. The plan tells
the rest at its end: the verdict is asked again with the sum, and what blocks then and did not before is a violation.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from cost_guard.codes import Severity
from cost_guard.pack.rule import CannotJudge, StackRule
from strict.toml import CatalogueError

if TYPE_CHECKING:  # to start faster: see `pack.rule`
    from pulumi_policy import PolicyResource


def _wanted(resource: Any) -> bool:
    from cost_guard.pack import priced  # when a plan ends, to start faster

    return priced.has_a_price(resource)


def _check(resources: list[PolicyResource]) -> Iterable[tuple[str, str]]:
    from cost_guard.pack import gate, priced  # when a plan ends, to start faster

    try:
        found = priced.priced_resources_usd_per_month(resources)
    except CatalogueError as error:
        raise CannotJudge(error.lines[0]) from None
    for urn, line in gate.blocks_with(found.usd_per_month):
        yield urn, f"with {'; '.join(found.lines)}: {line}"


RULE = StackRule(
    code="whole-cost",
    position=127,
    severity=Severity.HIGH,
    demand="With everything else that the program makes and has a list price, the fleet still pays.",
    remedy="Take out what is not needed, or show in overhead.storageNetworkUsdPerMonth that it pays with it.",
    looks_at=("*",),
    check=_check,
    select=_wanted,
    elsewhere="warns",
)
