"""Whose a machine is: this stack's by its identity, one of before identities by proof, and else somebody else's."""

from __future__ import annotations

from collections.abc import Sequence

from images.remote.errors import DeadlineExceeded, RemoteError, Unreachable
from images.remote.waiting import NotYet, Waiting, until
from providers.base import ALIVE, Cloud, Machine, MachineState, Owner
from providers.errors import RateLimited, SomebodyElses, Unavailable
from providers.renting.contact import shows_keys_of

LOOK_AGAIN_S = 1.0


def of_stack(owner: Owner, listed: Sequence[Machine]) -> list[Machine]:
    """Living machines of the owner's stack. Raises SomebodyElses where another stack of the same name has any."""
    named = [(m, m.owner) for m in listed if m.owner and m.owner.same_name(owner) and m.state in ALIVE]
    if strangers := [m for m, whose in named if not whose.same_stack(owner)]:
        raise SomebodyElses(_refusal(owner, strangers))
    return [m for m, _ in named]


def is_of_before(machine: Machine, owner: Owner) -> bool:
    """Whether its mark tells the owner's name alone, as it was launched before stacks had identities."""
    return machine.owner is not None and not machine.owner.stack_id and bool(owner.stack_id)


def prove(machine: Machine, cloud: Cloud, ssh_private_key: str, waiting: Waiting) -> None:
    """Returns once the machine has proved to be of the stack of that SSH key. Changes nothing there.

    Raises SomebodyElses where it shows to be another's; DeadlineExceeded where it does not run or answer in time,
    NotFound, Cancelled.
    """
    what = f"{machine.cloud}/{machine.id} carries this stack's name, and was launched before stacks had identities"
    mine = f"If it is this stack's, end it by its id in the console of {machine.cloud}; else take another stack name"

    def look() -> None:
        try:
            found = cloud.get(machine.id)
            if found.state is MachineState.RUNNING:
                if shows_keys_of(found, ssh_private_key):
                    return
                raise SomebodyElses(f"{what}; it has another stack's host key, and is left alone. {mine}")
        except RateLimited as e:
            raise NotYet(str(e), e.retry_after_s or LOOK_AGAIN_S) from e
        except (Unavailable, Unreachable) as e:
            raise NotYet(str(e), LOOK_AGAIN_S) from e
        raise NotYet(found.status or found.state, LOOK_AGAIN_S)

    def late(last: str) -> RemoteError:
        return DeadlineExceeded(f"{what}; it could not be asked whose it is ({last}), and is left alone. {mine}")

    until(look, waiting, machine.id, late)


def _refusal(owner: Owner, strangers: Sequence[Machine]) -> str:
    listing = ", ".join(
        f"{m.cloud}/{m.id} ({m.owner.role} {m.owner.key}, identity {m.owner.stack_id}, since {m.created_at or '?'})"
        for m in strangers
        if m.owner
    )
    other = next(m.owner.stack_id for m in strangers if m.owner)
    return (
        f"another stack is called {owner.project}/{owner.stack} too, and has {listing}; this one's identity is "
        f"{owner.stack_id}. What it has is left alone, and nothing is rented. Take another stack name; or, if that "
        f"stack's state is lost, `crossover orphans --stack-id {other}` shows what is left of it, and ends it with "
        "--terminate"
    )
