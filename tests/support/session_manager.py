"""Session Manager without AWS: the two programs that SSH goes through, of our own, before a real sshd."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).parent / "ssm"
INSTANCE = "i-0123456789abcdef0"
REGION = "us-east-1"


@dataclass(frozen=True)
class SessionManager:
    """The programs on a PATH of their own, before what it was; `log` has a line for each call."""

    folder: Path
    patch: pytest.MonkeyPatch

    @classmethod
    def installed(cls, folder: Path, patch: pytest.MonkeyPatch) -> SessionManager:
        made = cls(folder, patch)
        (folder / "bin").mkdir(parents=True)
        for program in PROGRAMS.iterdir():
            shutil.copy(program, folder / "bin" / program.name)
        patch.setenv("PATH", f"{folder}/bin:{os.environ['PATH']}")
        patch.setenv("SSM_LOG", str(folder / "log"))
        made.serves()
        return made

    def serves(self, address: str = "127.0.0.1", port: int | None = None) -> None:
        """INSTANCE is connected, its port 22 being this one; or no machine is."""
        self.patch.setenv("SSM_TARGETS", json.dumps({} if port is None else {INSTANCE: [address, port]}))

    def behaves(self, **changes: object) -> None:
        """SSM_… of the programs, by its lower-case name: slow_s, dies_after, deaf, denied."""
        for name, value in changes.items():
            self.patch.setenv(f"SSM_{name.upper()}", str(value))

    def remove(self, program: str) -> None:
        (self.folder / "bin" / program).unlink()

    @property
    def log(self) -> list[str]:
        path = self.folder / "log"
        return path.read_text().splitlines() if path.exists() else []

    def alive(self) -> list[str]:
        """Programs of ours that run, or that nobody has asked for their status."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if f"SSM_LOG={self.folder}/log".encode() in (entry / "environ").read_bytes().split(b"\0"):
                    command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    if f"{self.folder}/bin/" in command:
                        found.append(command)
            except OSError:
                continue
        return found
