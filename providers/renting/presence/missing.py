"""What the state knows and nothing shows: it is looked for over minutes, and given up by a person alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from images.remote.waiting import Waiting
from providers.base import ALIVE, Capability, Clouds, Machine, Owner
from providers.errors import Missing
from providers.renting.presence.looking import present


@dataclass(slots=True)
class Missed:
    """Remembers for the life of the process what was looked for in vain: the update after a refresh looks once."""

    clouds: Clouds
    capabilities: Callable[[str], frozenset[Capability]]
    _in_vain: set[str] = field(default_factory=set)

    def look(self, resource_id: str, waiting: Waiting, window_s: float | None = None) -> Machine:
        """The machine "cloud/machine id". Raises what `present` raises."""
        cloud_name, _, machine_id = resource_id.partition("/")
        try:
            found = present(
                self.clouds(cloud_name), machine_id, waiting, 0.0 if resource_id in self._in_vain else window_s
            )
        except Missing:
            self._in_vain.add(resource_id)
            raise
        self._in_vain.discard(resource_id)
        return found

    def refusal(self, resource_id: str, owner: Owner, rungs: Iterable[str], why: str) -> str:
        """Why a node whose machine is missing stays in the state until a person accepts it; empty where nothing is lost
        by taking it out: one that costs nothing, while others of its stack are there. `rungs` are the clouds of its
        ladder."""
        cloud_name = resource_id.partition("/")[0]
        if self._protected(rungs):
            reason = "It may bill, and may not be had again"
        elif not self._others(cloud_name, owner):
            reason = f"All machines of the stack at {cloud_name} are missing at once, as where another account is asked"
        else:
            return ""
        return (
            f"{why}. {reason}: it stays in the state, and none is rented in its place. Look at the console of "
            f"{cloud_name}, and at whose credentials are used; if it is gone: crossover accept-gone {owner.key} "
            f"--stack {owner.stack}, then `up`"
        )

    def _protected(self, rungs: Iterable[str]) -> bool:
        """As the program protects its nodes: all that may bill, or were claimed."""
        return any(Capability.BILLS_NOTHING not in self.capabilities(name) for name in rungs)

    def _others(self, cloud_name: str, owner: Owner) -> bool:
        """Whether the cloud shows another living machine of the stack, and not of one that is called alike."""
        found = self.clouds(cloud_name).list(owner.project)
        return any(m.owner is not None and m.owner.same_stack(owner) and m.state in ALIVE for m in found)
