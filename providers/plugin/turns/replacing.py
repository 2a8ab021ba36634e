"""Nodes whose generations were raised at once are replaced one after the other, and the first failure stops the rest.

The engine would end all of the machines before it rents the first new one: a node's deletion comes before its creation,
and those of several nodes run side by side. So a turn begins where a node that is to be replaced, or what is installed
on it, is about to be deleted, and ends where its successor is accepted: installed, and checked.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from images.remote.errors import RemoteError
from images.remote.waiting import NotYet, Waiting, until
from providers.plugin.machine import is_vacant
from providers.plugin.values import Plain

TURN_S = 4 * 3600.0
"""How long a node waits for its turn. Chosen: longer than a rent and an install may take (their own deadlines end
those), so that it is never what ends a replacement that goes on."""
POLL_S = 1.0

Fleet = tuple[str, str, str]
"""Project, stack and role."""
Drain = Callable[[Plain, Waiting], AbstractContextManager[object]]
"""Holds a node, by its outputs or those of its Install, out of the rotation of its gateways."""


class ReplacementStopped(RemoteError):
    """Another replacement of the fleet failed in this run, or does not end: nothing was ended here."""


@dataclass(slots=True)
class Turn:
    """Of one fleet: whose turn it is, and what went wrong."""

    key: str = ""
    """The node's; empty while it is nobody's turn."""
    machine: str = ""
    """Its new machine, once it has one."""
    drained: bool = False
    failed: str = ""
    """What went wrong, and with which node."""


@dataclass(slots=True)
class Replacements:
    """Told by the provider what the engine asks for, in the life of one plugin, which is one run."""

    drain: Drain = lambda node, waiting: nullcontext()
    _planned: dict[str, tuple[Fleet, str]] = field(default_factory=dict)
    """Machines of nodes that the engine is to replace → whose they are."""
    _turns: dict[Fleet, Turn] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def plan(self, node: Plain) -> None:
        """The engine has been told that the node of these outputs must be replaced."""
        if not is_vacant(node["machine"]):
            self._planned[str(node["machine"]["id"])] = (_fleet(node), str(node["key"]))

    def delete(self, olds: Plain, waiting: Waiting, end: Callable[[], None]) -> None:
        """Ends a node's machine, or what is installed on it; of a node that is to be replaced in its turn, and drained
        first. Raises ReplacementStopped, and what `end` raises."""
        planned = self._planned.get(str(olds["machine"]["id"]))
        if planned is None:
            return end()
        fleet, key = planned
        turn = self._begin(fleet, key, waiting)
        try:
            with nullcontext() if turn.drained else self.drain(olds, waiting):
                turn.drained = True
                end()
        except BaseException as e:
            self._failed(fleet, key, e)
            raise
        return None

    def create(self, news: Plain, rent: Callable[[], tuple[str, Plain]]) -> tuple[str, Plain]:
        """The node's new machine, or none. Raises what `rent` raises."""
        fleet, key = _fleet(news), str(news["key"])
        try:
            made = rent()
        except BaseException as e:
            self._failed(fleet, key, e)
            raise
        with self._guard:
            turn = self._turns.get(fleet)
            if turn is not None and turn.key == key:
                turn.machine = str(made[1]["machine"]["id"])
                if is_vacant(made[1]["machine"]):
                    turn.key, turn.failed = "", f"{key} is vacant"
        return made

    def accept(self, news: Plain, install: Callable[[], tuple[str, Plain]]) -> tuple[str, Plain]:
        """Installs something on a machine; what the node is for ends its turn. Raises what `install` raises."""
        machine, role = str(news["machine"]["id"]), news["role"]
        with self._guard:
            mine = [f for f, turn in self._turns.items() if turn.key and turn.machine == machine and f[2] == role]
        try:
            made = install()
        except BaseException as e:
            for fleet in mine:
                self._failed(fleet, self._turns[fleet].key, e)
            raise
        with self._guard:
            for fleet in mine:
                self._turns[fleet] = Turn()
        return made

    def _begin(self, fleet: Fleet, key: str, waiting: Waiting) -> Turn:
        def mine() -> Turn:
            with self._guard:
                turn = self._turns.setdefault(fleet, Turn())
                if turn.failed:
                    raise ReplacementStopped(f"{key} is left as it is: {turn.failed}. Mend that, then run `up` again")
                if turn.key not in ("", key):
                    raise NotYet(f"{turn.key} is replaced first", POLL_S)
                turn.key = key
                return turn

        def late(last: str) -> RemoteError:
            return ReplacementStopped(f"{key} is left as it is: {last}, for {TURN_S:g} s. Run `up` again")

        return until(mine, waiting.within(TURN_S), f"its turn, node {key}", late)

    def _failed(self, fleet: Fleet, key: str, error: BaseException) -> None:
        with self._guard:
            turn = self._turns.get(fleet)
            if turn is not None and turn.key == key:
                turn.key, turn.failed = "", f"the replacement of {key} failed ({str(error) or type(error).__name__})"


def _fleet(node: Plain) -> Fleet:
    return (str(node["project"]), str(node["stack"]), str(node["role"]))
