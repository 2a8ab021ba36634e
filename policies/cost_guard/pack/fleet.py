"""What a rule may ask about a Fleet's inputs.

The verdict is reckoned by `gate`, which is imported when it is first needed: the engine starts no program before the
pack has answered which rules it has, and loading the catalogue's and the scenario's models would delay that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # to start faster
    from pulumi_policy import ResourceValidationArgs

    from cost_guard.catalogue.catalogue import Catalogue
    from cost_guard.pack.rule import Failure
    from cost_guard.scenario.fleet import Fleet
    from cost_guard.verdict.verdict import Verdict


def verdict_on(args: ResourceValidationArgs) -> Verdict | Failure:
    """`gate.verdict_on`: never raises."""
    from cost_guard.pack import gate  # when it is needed, to start faster

    return gate.verdict_on(args)


def fleet_of(args: ResourceValidationArgs) -> tuple[Fleet, Catalogue]:
    """`gate.fleet_of`. Raises UnknownValueError and CannotJudge."""
    from cost_guard.pack import gate  # when it is needed, to start faster

    return gate.fleet_of(args)
