"""A node's guard, as the simulated nodes of these tests have it: it lets the tests set faults too."""

from __future__ import annotations

from images.roles.inference.node.canary import Scope
from images.roles.inference.node.guard import Guard


class ClosedNode(Guard):
    """`--middleware tests.integration.gateway.closed.ClosedNode`."""

    def _refusal(self, scope: Scope) -> tuple[int, str, str] | None:
        return None if scope["path"] == "/sim/faults" else super()._refusal(scope)
