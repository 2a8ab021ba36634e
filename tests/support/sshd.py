"""A machine to install on: a real sshd on loopback in a folder of its own, ended with everything that ran in it."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from images.remote.host import Host
from tests.support.eventually import DEADLINE_S, eventually
from tests.support.ports import free_port

PASSED_ON = ("PIP_", "UV_", "SSL_CERT", "REQUESTS_CA", "HTTP_PROXY", "HTTPS_PROXY")
"""What a machine needs of this computer's environment to reach a package index."""


def make_key(path: Path) -> str:
    """Makes an Ed25519 key pair at `path` and returns the private key's text."""
    path.unlink(missing_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", path.name, "-f", str(path)], check=True)
    return path.read_text()


def public_key(path: Path) -> str:
    """ "ssh-ed25519 AAAA…" of the pair at `path`."""
    return " ".join(path.with_suffix(".pub").read_text().split()[:2])


@dataclass
class Machine:
    """One sshd. Processes started over it inherit CROSSOVER_MACHINE=<folder>, as on the cloud `local`."""

    folder: Path
    cache: Path
    path: str = field(default_factory=lambda: os.environ["PATH"])
    """PATH on the machine."""
    shell_prefix: str = ""
    """Put before every command: for limits such as `ulimit -f`."""
    private_key: str = ""
    ssh_port: int = 0
    address: str = "127.0.0.1"
    within: tuple[str, ...] = ()
    """The command that sshd is started by, where it is to run elsewhere: `ip netns exec NAME`."""

    @property
    def root(self) -> Path:
        """Where the bundle goes."""
        return self.folder / "root"

    def start(self) -> None:
        """Makes keys where there are none and starts sshd on a free port."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "home").mkdir(exist_ok=True)
        if not (self.folder / "host_key").exists():
            make_key(self.folder / "host_key")
            self.private_key = make_key(self.folder / "user_key")
            self.authorize(public_key(self.folder / "user_key"))
        self.ssh_port = self.ssh_port or free_port()
        self._configure()
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd demands it of root
        sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
        assert sshd, "sshd is missing: apt-get install openssh-server"
        config, log = self.folder / "sshd_config", self.folder / "sshd.log"
        subprocess.run(
            [*self.within, sshd, "-f", str(config), "-E", str(log)], check=True, cwd="/", stdin=subprocess.DEVNULL
        )
        # It listens before it writes its pid, without which it could not be ended.
        pid = self.folder / "sshd.pid"
        eventually(lambda: pid.exists() and self.answers(), f"sshd: {log.read_text() if log.exists() else ''}")

    def authorize(self, *keys: str) -> None:
        """Replaces the keys that may log in."""
        (self.folder / "authorized_keys").write_text("".join(f"{key} test\n" for key in keys))

    def host(self, ports: Mapping[str, int], **changes: Any) -> Host:
        """The machine as the installer sees it."""
        values: dict[str, Any] = {
            "address": self.address,
            "ssh_port": self.ssh_port,
            "ssh_user": getpass.getuser(),
            "host_key": public_key(self.folder / "host_key"),
            "root": str(self.root),
            "cache": str(self.cache),
            "bind": "127.0.0.1",
            "ports": dict(ports),
            "supervision": "supervisor",
        }
        return Host(**{**values, **changes})

    def processes(self) -> dict[int, list[str]]:
        """Live processes that run on it (but not its sshd) → their argument lists."""
        found = {}
        mark = f"CROSSOVER_MACHINE={self.folder}".encode()
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    argv = (entry / "cmdline").read_bytes().split(b"\0")[:-1]
                    if argv:  # a zombie has none
                        found[int(entry.name)] = [a.decode(errors="replace") for a in argv]
        return found

    def stop_sshd(self) -> None:
        """Ends sshd alone; what it started lives on."""
        with contextlib.suppress(OSError, ValueError):
            pid = int((self.folder / "sshd.pid").read_text())
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            processes = [pid, *map(int, children)]  # a child that serves a connection would still write its log
            for process in processes:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGTERM)
            eventually(lambda: not any(map(_command_line, processes)), "sshd does not end")
            (self.folder / "sshd.pid").unlink(missing_ok=True)

    def stop(self) -> None:
        """Ends sshd and every process of the machine."""
        self.stop_sshd()
        for number, within_s in ((signal.SIGTERM, 5), (signal.SIGKILL, DEADLINE_S)):
            deadline = time.monotonic() + within_s
            while self.processes() and time.monotonic() < deadline:
                for pid in self.processes():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, number)
                time.sleep(0.05)
        assert not self.processes()

    def answers(self) -> bool:
        """Whether sshd takes connections."""
        with contextlib.suppress(OSError), socket.create_connection((self.address, self.ssh_port), 1):
            return True
        return False

    def _configure(self) -> None:
        environment = {k: v for k, v in os.environ.items() if k.upper().startswith(PASSED_ON)}
        environment |= {"PATH": self.path, "HOME": str(self.folder / "home"), "CROSSOVER_MACHINE": str(self.folder)}
        lines = [
            f"ListenAddress {self.address}",
            f"Port {self.ssh_port}",
            f"HostKey {self.folder}/host_key",
            f"AuthorizedKeysFile {self.folder}/authorized_keys",
            f"PidFile {self.folder}/sshd.pid",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "UsePAM no",
            "StrictModes no",
            "PrintMotd no",
            "SetEnv " + " ".join(f'"{k}={v}"' for k, v in environment.items()),
        ]
        if self.shell_prefix:
            lines.append(f'ForceCommand {self.shell_prefix}; eval "$SSH_ORIGINAL_COMMAND"')
        path = self.folder / "sshd_config"
        path.touch(mode=0o600)
        path.write_text("\n".join(lines) + "\n")


@contextlib.contextmanager
def machine(folder: Path, cache: Path, **changes: Any) -> Iterator[Machine]:
    """A running machine in `folder`, ended completely."""
    made = Machine(folder, cache, **changes)
    try:
        made.start()
        yield made
    finally:
        made.stop()


def _command_line(pid: int) -> bytes:
    """Empty once the process has ended, also while nobody has asked for its status."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
