"""A machine of a test's, over SSH."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from images.remote.connection import Connection
from images.remote.errors import RemoteError
from images.remote.host import Host
from images.remote.waiting import Waiting
from tests.support.eventually import eventually


@dataclass
class Reached:
    """The way in."""

    within_s: ClassVar[float] = 60
    """A script's time, unless it is given another."""

    host: Host
    key: str

    def connect(self) -> Connection:
        """Once it answers."""
        return eventually(lambda: self._open(), "SSH")

    def run(self, script: str, within_s: float | None = None) -> str:
        """What a script says there that must succeed."""
        with self.connect() as connection:
            result = connection.run(script, watch=Waiting(within_s or self.within_s), step="asking")
        assert result.status == 0, (script, result)
        return result.stdout.strip()

    def _open(self) -> Connection | None:
        try:
            return Connection.open(self.host, self.key)
        except RemoteError:
            return None
