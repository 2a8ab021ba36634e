"""Creates that were begun and whose machines stand in no state: what the journals of the project's stacks know.

Usage: python -m scripts.crossover.stack.surgery.begun STACK, by scripts/down: says what of a destroyed stack may bill.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from images.remote.errors import RemoteError
from images.remote.waiting import Waiting
from providers import registry
from providers.base import Capability
from providers.errors import Unavailable
from providers.renting.memory.creating import undone
from providers.renting.memory.journal import Intent, Journal
from providers.renting.memory.place import stacks_of
from scripts.crossover.stack.engine import project, seen_by_the_plugin


@dataclass(frozen=True, slots=True)
class Begun:
    """One intent that is open."""

    stack: str
    intent: Intent
    journal: Journal

    @property
    def machine(self) -> str:
        """ "cloud/machine id", as the states write it; empty where the id is not known."""
        return f"{self.intent.cloud}/{self.intent.machine_id}" if self.intent.machine_id else ""

    @property
    def named(self) -> tuple[str, str]:
        """Cloud and name of its machine."""
        return (self.intent.cloud, self.intent.name)

    @property
    def open(self) -> bool:
        """Whether it still is."""
        return self.journal.path(self.intent).exists()

    @property
    def said(self) -> str:
        """For people."""
        since = datetime.fromtimestamp(self.intent.at_s, UTC).isoformat(" ", timespec="minutes")
        return (
            f"{self.machine or f'a machine {self.intent.name} at {self.intent.cloud}'} may bill: {self.stack} began to "
            f"create it ({since.removesuffix('+00:00')} UTC), or gave it up, and no state has it. The next `up` of its "
            "node looks for it; `crossover orphans --terminate` does so now, and ends it"
        )


def begun() -> list[Begun]:
    """Of every stack of this project that has a journal here; but for what bills nothing (`local`). Raises Unavailable
    where one cannot be read."""
    ours, environment = project(), seen_by_the_plugin()
    try:
        journals = {stack: Journal.of(ours, stack, environment) for stack in stacks_of(ours, environment)}
    except OSError as e:
        raise Unavailable(f"the journals of intents cannot be read: {e}") from e
    found = [Begun(stack, intent, journal) for stack, journal in journals.items() for intent in journal.open()]
    return [one for one in found if not registry.can(one.intent.cloud, Capability.BILLS_NOTHING)]


def in_no_state(found: Iterable[Begun], known: Collection[str], unsettled: Collection[str]) -> tuple[Begun, ...]:
    """Those of which no state knows the machine; but for stacks whose state cannot be read, or is being changed.

    `known`: machines of all states, which must have been read after the journals: a state then has what was made.
    """
    return tuple(one for one in found if one.machine not in known and one.stack not in unsettled)


def undo(found: Iterable[Begun], known: Collection[str], say: Callable[[str], None]) -> dict[str, str]:
    """Looks for the machine of each and ends it, unless a state turns out to have it; what could not be told or ended,
    by what it is, with what to do. `known` as in `in_no_state`."""
    failures: dict[str, str] = {}
    for one in found:
        try:
            undone([one.intent], registry.cloud, Waiting(say=say), one.journal, known)
        except RemoteError as e:
            what = one.machine or f"{one.intent.cloud}/{one.intent.name}"
            failures[what] = str(e)
            say(f"NOT ended: {what}: {e}")
    return failures


def main(arguments: list[str]) -> int:
    [stack] = arguments
    try:
        left = [one for one in begun() if one.stack == stack.rpartition("/")[2]]
    except RemoteError as e:
        print(f"scripts/down: {e}", file=sys.stderr)
        return 1
    for one in left:
        print(f"scripts/down: {one.said}", file=sys.stderr)
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
