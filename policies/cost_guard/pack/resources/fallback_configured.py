"""Rule fallback-configured: somebody answers when nodes cannot: a managed model, or the rest of a fleet that survives.

The Gateway's inputs name its Fleet and its fallback. Fleets are remembered as they pass: a Gateway's input is the
Fleet's URN, so the engine registers the Fleet first, and asks one process about both.
"""

from __future__ import annotations

from collections.abc import Iterable

from pulumi_policy import ResourceValidationArgs, Severity

from cost_guard.pack.fleet import FLEET_TYPE, Failure, judge
from cost_guard.pack.rule import NoConfig, rule

GATEWAY_TYPE = "crossover:index:Gateway"

_survives: dict[str, bool] = {}
"""Fleet URN → whether the others serve the peak without any one node."""


class Config(NoConfig):
    """Whether a fleet that survives the loss of a node may do without a managed fallback."""

    redundancy_suffices: bool = True


def _check(args: ResourceValidationArgs, config: Config) -> Iterable[str]:
    if args.resource_type == FLEET_TYPE:
        verdict = judge(args)
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


RULE = rule(
    "fallback-configured",
    Severity.MEDIUM,
    "When nodes cannot answer, a managed model does, or the fleet survives the loss of one.",
    "Set crossover:gateway.fallback to a model of crossover:gateway.managed, or add a node.",
    (FLEET_TYPE, GATEWAY_TYPE),
    _check,
    Config,
    key=("gateway", "fallback"),
)
