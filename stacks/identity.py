"""The stack's identity, copied to where this computer remembers it when the state cannot be read."""

from __future__ import annotations

import pulumi

from providers.renting import place
from providers.resources import Credentials


def remember(credentials: Credentials) -> None:
    """In `up` alone. Where it cannot be written, that is said, and nothing else depends on it."""
    if not pulumi.runtime.is_dry_run():
        credentials.stack_id.apply(_copied)


def _copied(stack_id: str) -> None:
    where = place.folder(pulumi.get_project(), pulumi.get_stack())
    try:
        place.keep_stack_id(where, stack_id)
    except OSError as e:
        pulumi.log.warn(
            f"the stack's identity {stack_id} cannot be copied to {where}: {e}. Write it down: if the state is lost, "
            f"`crossover orphans --stack-id {stack_id}` finds the stack's machines"
        )
