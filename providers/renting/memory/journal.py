"""The journal of intents: which machines a stack has begun to create, so that none is created twice and none is lost.

An intent is written before a create is sent. It ends when nothing can have come of it, or when the state is known to
hold what did. Between the two a plugin may be killed, an answer lost, or a listing late: the machine is then found by
what stands here, its name or, once the cloud has told it, its id.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from providers.errors import Unavailable
from providers.renting.memory.place import stack_folder, write_private

FOLDER = "intents"


@dataclass(frozen=True, slots=True)
class Intent:
    """One machine that was to be created, or was."""

    name: str
    """The machine's deterministic name (`providers.renting.naming`)."""
    cloud: str
    at_s: float
    """When, in seconds of the Unix epoch: just before the create was sent."""
    machine_id: str = ""
    """What the cloud answered; empty while it is not known that it did."""

    @property
    def file(self) -> str:
        """One a name and cloud: a second create of one name waits for the end of the first."""
        return f"{self.cloud}--{self.name}.json"


@dataclass(frozen=True, slots=True)
class Journal:
    """The intents of one stack: a small file each, its owner's alone (0600 in 0700), whole or not there at all."""

    folder: Path
    now: Callable[[], float] = field(default=time.time)

    @classmethod
    def of(cls, project: str, stack: str, environment: Mapping[str, str] = os.environ) -> Journal:
        """That of a stack on this computer."""
        return cls(stack_folder(project, stack, environment) / FOLDER)

    def begin(self, name: str, cloud: str) -> Intent:
        """Written before a create is sent. Raises Unavailable where it cannot be, and then nothing may be sent."""
        return self._written(Intent(name, cloud, self.now()))

    def answered(self, intent: Intent, machine_id: str) -> Intent:
        """The create has made this machine. Not ended: the engine may be killed before its state holds it. Never
        raises: the name alone finds the machine, too."""
        known = replace(intent, machine_id=machine_id)
        try:
            return self._written(known)
        except Unavailable:
            return known

    def end(self, intent: Intent) -> None:
        """Nothing came of it, or the state holds what did. Never raises: an intent too many costs a look."""
        self._remove(intent)

    def settled(self, name: str, machine_id: str) -> None:
        """The state holds this machine under that name, or knows that it is gone. Never raises."""
        with suppress(Unavailable):
            for intent in self.open(name):
                if intent.machine_id == machine_id:
                    self._remove(intent)

    def given_up(self, name: str, cloud: str, machine_id: str) -> None:
        """A person has taken this machine out of the state. The next create of the name looks for it once more, and
        sends the end request, before another is made. Raises Unavailable."""
        self._written(Intent(name, cloud, self.now(), machine_id))

    def open(self, name: str = "") -> list[Intent]:
        """Those that have not ended, of one name or of all, oldest first. Raises Unavailable."""
        try:
            files = sorted(self.folder.glob(f"*--{name or '*'}.json"))
            found = [self._read(path) for path in files]
        except OSError as e:
            raise Unavailable(f"the journal of intents cannot be read: {e}") from e
        return sorted((i for i in found if i is not None), key=lambda i: i.at_s)

    def age_s(self, intent: Intent) -> float:
        """Seconds since it began; 0 where the clock was set back."""
        return max(0.0, self.now() - intent.at_s)

    def age_of(self, name: str, machine_id: str) -> float:
        """At least so many seconds have passed since the create of this machine; 0 where that is not known."""
        with suppress(Unavailable):
            return max((self.age_s(i) for i in self.open(name) if i.machine_id == machine_id), default=0.0)
        return 0.0

    def _written(self, intent: Intent) -> Intent:
        told = datetime.fromtimestamp(intent.at_s, UTC).isoformat(timespec="milliseconds")
        body = {"name": intent.name, "cloud": intent.cloud, "at": told, "machineId": intent.machine_id}
        try:
            write_private(self.folder / intent.file, json.dumps(body, indent=2) + "\n")
        except OSError as e:
            raise Unavailable(
                f"nothing was rented: the journal of intents at {self.folder} cannot be written ({e}), and without "
                "it a machine whose creation is interrupted would be lost. Make room there, or make it writable"
            ) from e
        return intent

    def _remove(self, intent: Intent) -> None:
        try:
            (self.folder / intent.file).unlink(missing_ok=True)
        except OSError:
            return

    def _read(self, path: Path) -> Intent | None:
        """What cannot be read (somebody wrote into it) counts by its file's name and age: it is an intent all the same.
        None where it ended meanwhile."""
        try:
            body: Any = json.loads(path.read_text("utf-8"))
            at = datetime.fromisoformat(body["at"]).timestamp()
            return Intent(str(body["name"]), str(body["cloud"]), at, str(body.get("machineId") or ""))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, AttributeError):
            cloud, _, name = path.stem.partition("--")
            return Intent(name, cloud, path.stat().st_mtime)
