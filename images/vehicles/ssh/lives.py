"""How the services of a bundle fare while a check waits for them, and when waiting has no sense any more. Pure."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from images.bundle import Bundle
from images.engines.common.words import KnownFailure, Words, words_of
from images.remote.mask import colourless
from images.vehicles.ssh.keepers.keeper import Sign

MOST_DEATHS = 3
"""So often may a service end by itself, for whatever reason, while it is waited for: it may have come before what it
needs."""
PATIENCE_S = 45.0
"""And so long may it go on ending, if it takes its time for each."""
RECENT_S = 25.0
"""A service that has lived for so long since its last end has recovered, for all that one can tell."""
HANGING_S = 30.0
"""A process whose engine is lost gets so long to end by itself."""
OVERTAKES_S = 5.0
"""The keeper's word of an end may be heard so long before the last lines of who ended."""

_ERROR = re.compile(r"(?:^|[\s:])[\w.]*(?:Error|Exception|Exit)\b.*|(?:^|\W)(?:ERROR|FATAL|ALERT|error:|fatal:)\W.*")
_ELSEWHERE = re.compile(r"[Ss]ee (?:root cause|stack trace)|^\s+File |Traceback")


@dataclass(frozen=True, slots=True)
class Lost:
    """A service for which there is no use in waiting."""

    service: str
    why: str
    """What happened, what it means where that is known, and what to do."""
    ask: tuple[str, ...] = ()
    """A command whose output on the machine says more."""


@dataclass(frozen=True, slots=True)
class _Seen:
    failure: KnownFailure
    line: str
    at: float


@dataclass(slots=True)
class Life:
    """One service, from the first line that was heard on."""

    words: Words
    deaths: list[float] = field(default_factory=list)
    exited: str = ""
    """How, the last time."""
    seen: dict[str, _Seen] = field(default_factory=dict)
    """Known failures, each when first heard, with its newest line: a traceback shows code before its words."""
    error: str = ""
    """The last line that reads like an error, else the last one."""
    stage: str = ""

    def hear(self, line: str, now: float) -> None:
        """Takes a line of its log."""
        if failure := self.words.failure(line):
            before = self.seen.get(failure.name)
            self.seen[failure.name] = _Seen(failure, line.strip(), before.at if before else now)
        self.stage = self.words.stage(line) or self.stage
        if not _ELSEWHERE.search(line) and (_ERROR.search(line) or not _ERROR.search(self.error)):
            self.error = line.strip()

    def cause(self) -> _Seen | None:
        """The known failure that explains the others: the first in the engine's list."""
        known = [self.seen[f.name] for f in self.words.failures if f.name in self.seen]
        return known[0] if known else None

    def lost(self, now: float) -> bool:
        """Whether waiting has no sense any more."""
        known = self.seen.values()
        died_of_it = bool(self.deaths) and any(
            s.failure.weight == "fatal" and self.deaths[-1] > s.at - OVERTAKES_S for s in known
        )
        hangs = any(s.failure.weight == "hangs" and now - s.at > HANGING_S for s in known)
        return died_of_it or hangs or self._loops(now)

    def _loops(self, now: float) -> bool:
        """It has ended too often, and not only long ago."""
        if len(self.deaths) < 2 or now - self.deaths[-1] > RECENT_S:
            return False
        return len(self.deaths) >= MOST_DEATHS or now - self.deaths[0] >= PATIENCE_S


@dataclass(slots=True)
class Lives:
    """All services of one bundle."""

    bundle: Bundle
    clock: Callable[[], float] = time.monotonic
    _lives: dict[str, Life] = field(init=False)
    _ended: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lives = {s.name: Life(words_of(s.speaks)) for s in self.bundle.services}

    def hear(self, service: str, line: str) -> None:
        """Takes a line of a service's log."""
        if life := self._lives.get(service):
            life.hear(colourless(line), self.clock())

    def take(self, sign: Sign) -> str:
        """Takes what the keeper says; returns what is to be told of it at once, "" if nothing."""
        life = self._lives.get(sign.service)
        if life is None:
            return ""
        life.exited = sign.exited or life.exited
        if sign.killed:
            return f"{sign.service} did not end within its time and was killed"
        if not sign.again:
            return ""
        life.deaths.append(self.clock())
        life.stage = ""
        self._ended.append((sign.service, life.exited or "exit status 0"))
        return ""

    def news(self) -> list[str]:
        """The ends since the last time, with the lines that matter: of a service that has ended, the keeper's word may
        be heard before the last of its own."""
        told = [f"{n} has ended ({how}) and is started again{_quoted(self._lives[n].error)}" for n, how in self._ended]
        self._ended.clear()
        return told

    def stage(self, services: list[str]) -> str:
        """What those services are doing; "" if they do not tell."""
        return "; ".join(life.stage for name, life in self._lives.items() if name in services and life.stage)

    def lost(self) -> Lost | None:
        """The first service for which there is no use in waiting."""
        return next((self._told(n, life) for n, life in self._lives.items() if life.lost(self.clock())), None)

    def known(self) -> str:
        """What is known of failures so far, where none of them ended the waiting; "" if nothing."""
        causes = [(name, life.cause()) for name, life in self._lives.items()]
        return " ".join(f"{name}: {_explained(seen)}" for name, seen in causes if seen)

    def _told(self, name: str, life: Life) -> Lost:
        times, cause = len(life.deaths), life.cause()
        how = life.exited or "exit status 0"
        if times == 0:
            what = f"{name} lives on and will not answer"
        elif times == 1:
            what = f"{name} has ended ({how})"
        else:
            within_s = self.clock() - life.deaths[0]
            what = f"{name} has ended {times} times within {within_s:.0f} s, the last time with {how}"
        if cause is None:
            return Lost(name, f"{what}{_quoted(life.error)}.")
        return Lost(name, f"{what}: {_explained(cause)}", cause.failure.ask)


def _explained(seen: _Seen) -> str:
    failure = seen.failure
    return f"{failure.says}. {failure.remedy}. Its line{_quoted(seen.line)}."


def _quoted(line: str) -> str:
    return f": {line[:300]!r}" if line else ""
