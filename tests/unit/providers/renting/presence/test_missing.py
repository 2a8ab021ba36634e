"""Which nodes leave the state once nothing shows their machine, and which wait for a person."""

from __future__ import annotations

from dataclasses import replace

import pytest

from providers.base import Capability, MachineState, NodeSpec, Owner
from providers.renting.presence.missing import Missed
from tests.support.clouds import FakeCloud

OURS = Owner("p", "s", "inference", "a", 1, "1a2b")
SIBLING, NAMESAKE, OLDER = replace(OURS, key="b"), replace(OURS, stack_id="3c4d"), replace(OURS, key="b", stack_id="")
FREE = frozenset({Capability.BILLS_NOTHING})


def refusal(*there: Owner, capabilities: frozenset[Capability] = FREE, ended: bool = False) -> str:
    """Of our node, while the cloud shows machines of these."""
    cloud = FakeCloud()
    for owner in there:
        made = cloud.launch(NodeSpec("a machine", owner, "r", "gpu", "ssh-ed25519 AAAA"))
        state = MachineState.TERMINATED if ended else MachineState.RUNNING
        cloud.machines[made.id] = replace(made, state=state)
    missed = Missed(lambda _: cloud, lambda _: capabilities)
    return missed.refusal("fake/m-1", OURS, ["fake"], "nothing shows m-1")


@pytest.mark.parametrize("other", [SIBLING, OLDER])
def test_one_that_costs_nothing_leaves_while_others_of_its_stack_are_there(other: Owner) -> None:
    assert refusal(other) == ""


def test_one_that_may_bill_stays() -> None:
    assert "crossover accept-gone a --stack s" in refusal(SIBLING, capabilities=frozenset())


@pytest.mark.parametrize(("there", "ended"), [((), False), ((NAMESAKE,), False), ((SIBLING,), True)])
def test_all_of_a_stack_missing_at_once_stay(there: tuple[Owner, ...], ended: bool) -> None:
    """Another account may be asked. A stack that is only called alike is no proof that ours is."""
    assert "are missing at once" in refusal(*there, ended=ended)
