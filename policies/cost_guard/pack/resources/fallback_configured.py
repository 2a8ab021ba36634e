"""Rule fallback-configured: somebody answers when nodes cannot: a managed model, or the rest of a fleet that survives.

The Gateway's inputs name its Fleet and its fallback. Fleets are remembered as they pass: a Gateway's input is the
Fleet's URN, so the engine registers the Fleet first, and asks one process about both.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from cost_guard.codes import Severity
from cost_guard.pack.fleet import verdict_on
from cost_guard.pack.rule import Failure, NoConfig, ResourceRule
from strict import names

if TYPE_CHECKING:  # to start faster: see `pack.rule`
    from pulumi_policy import ResourceValidationArgs

_survives: dict[str, bool] = {}
"""Fleet URN → whether the others serve the peak without any one node."""


class FallbackConfig(NoConfig):
    """Whether a fleet that survives the loss of a node may do without a managed fallback."""

    redundancy_suffices: bool = True


def _check(args: ResourceValidationArgs, config: FallbackConfig) -> Iterable[str]:
    if args.resource_type == names.FLEET:
        verdict = verdict_on(args)
        _survives[args.urn] = not isinstance(verdict, Failure) and bool(verdict.capacity.survives_one_loss)
        return
    if args.props.get("fallback"):
        return
    if not config.redundancy_suffices:
        yield "no managed model answers when the nodes cannot; set crossover:gateway.fallback"
    elif not _survives.get(str(args.props.get("fleet")), False):
        yield (
            "no managed model answers when the nodes cannot, and the fleet does not serve its peak without one of "
            "them; set crossover:gateway.fallback, or add a node"
        )


RULE = ResourceRule(
    code="fallback-configured",
    position=150,
    severity=Severity.MEDIUM,
    demand="When nodes cannot answer, a managed model does, or the fleet survives the loss of one.",
    remedy="Set crossover:gateway.fallback to a model of crossover:gateway.managed, or add a node.",
    key=("gateway", "fallback"),
    looks_at=(names.FLEET, names.GATEWAY),
    check=_check,
    config=FallbackConfig,
)
