"""The journal of intents: which machines a stack has begun to create, so that none is created twice and none is lost.

An intent is written before a create is sent. It ends when nothing can have come of it, or when the state is known to
hold what did. Between the two a plugin may be killed, an answer lost, or a listing late: the machine is then found by
what stands here, its name or, once the cloud has told it, its id.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from providers.errors import Unavailable
from providers.renting.memory.place import private_folder, stack_folder, write_private

FOLDER = "intents"
FILE = re.compile(r"[^.].*--.*\.json")
"""One that is just being written begins with a dot."""


@dataclass(frozen=True, slots=True)
class Intent:
    """One machine that was to be created, or was."""

    name: str
    """The machine's deterministic name (`providers.renting.naming`)."""
    cloud: str
    at_s: float
    """When, in seconds of the Unix epoch: before the create was sent; once it was answered, when that was known."""
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
        """Written before a create is sent. Raises Unavailable where it cannot be, and where another run has begun the
        same; then nothing may be sent."""
        intent = Intent(name, cloud, self.now())
        try:
            private_folder(self.folder)
            os.close(os.open(self.path(intent), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError as e:
            raise Unavailable(
                f"nothing was rented: {self.path(intent)} says that another run is creating {name} at {cloud}, or has "
                "begun to. Wait for it, then run `up` again: it looks for that machine first"
            ) from e
        except OSError as e:
            raise self._unwritable(e) from e
        try:
            return self._written(intent)
        except Unavailable:
            self._remove(intent)
            raise

    def answered(self, intent: Intent, machine_id: str) -> Intent:
        """The create has made this machine. Not ended: the engine may be killed before its state holds it. Never
        raises: the name alone finds the machine, too. It counts as made just now: at least so young may it be."""
        known = replace(intent, machine_id=machine_id, at_s=self.now())
        try:
            return self._written(known)
        except Unavailable:
            return known

    def end(self, intent: Intent) -> None:
        """Nothing came of it, or the state holds what did. Never raises: an intent too many costs a look."""
        self._remove(intent)

    def settled(self, cloud: str, machine_id: str) -> None:
        """The state holds this machine, or knows that it is gone. Never raises."""
        with suppress(Unavailable):
            for intent in self.open():
                if (intent.cloud, intent.machine_id) == (cloud, machine_id):
                    self._remove(intent)

    def given_up(self, name: str, cloud: str, machine_id: str) -> None:
        """A person has taken this machine out of the state. The next create of the name looks for it once more, and
        sends the end request, before another is made. Raises Unavailable."""
        self._written(Intent(name, cloud, self.now(), machine_id))

    def open(self, names: Collection[str] | None = None) -> list[Intent]:
        """Those that have not ended, of these names or of all, oldest first. Raises Unavailable."""
        try:
            files = [self.folder / entry for entry in sorted(os.listdir(self.folder)) if FILE.fullmatch(entry)]
            found = [self._read(path) for path in files if names is None or path.stem.partition("--")[2] in names]
        except FileNotFoundError:
            return []
        except OSError as e:
            raise Unavailable(f"the journal of intents cannot be read: {e}") from e
        return sorted((i for i in found if i is not None), key=lambda i: i.at_s)

    def path(self, intent: Intent) -> Path:
        """Where it stands."""
        return self.folder / intent.file

    def age_s(self, intent: Intent) -> float:
        """Seconds since it began; 0 where the clock was set back."""
        return max(0.0, self.now() - intent.at_s)

    def age_of(self, cloud: str, machine_id: str) -> float:
        """At least so many seconds have passed since the create of this machine; 0 where that is not known."""
        with suppress(Unavailable):
            mine = [i for i in self.open() if (i.cloud, i.machine_id) == (cloud, machine_id)]
            return max((self.age_s(intent) for intent in mine), default=0.0)
        return 0.0

    def _written(self, intent: Intent) -> Intent:
        told = datetime.fromtimestamp(intent.at_s, UTC).isoformat(timespec="milliseconds")
        body = {"name": intent.name, "cloud": intent.cloud, "at": told, "machineId": intent.machine_id}
        try:
            write_private(self.path(intent), json.dumps(body, indent=2) + "\n")
        except OSError as e:
            raise self._unwritable(e) from e
        return intent

    def _unwritable(self, e: OSError) -> Unavailable:
        return Unavailable(
            f"nothing was rented: the journal of intents at {self.folder} cannot be written ({e}), and without it a "
            "machine whose creation is interrupted would be lost. Make room there, or make it writable"
        )

    def _remove(self, intent: Intent) -> None:
        try:
            self.path(intent).unlink(missing_ok=True)
        except OSError:
            return

    def _read(self, path: Path) -> Intent | None:
        """By its file's name, and the rest by what stands in it: one that cannot be read (somebody wrote into it) is an
        intent all the same, as old as its file. None where it ended meanwhile."""
        cloud, _, name = path.stem.partition("--")
        try:
            try:
                body: Any = json.loads(path.read_text("utf-8"))
                at_s = datetime.fromisoformat(body["at"]).timestamp()
                return Intent(name, cloud, at_s, str(body.get("machineId") or ""))
            except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
                return Intent(name, cloud, path.stat().st_mtime)
        except FileNotFoundError:
            return None
