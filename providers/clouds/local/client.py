"""The "API" of the cloud `local`: folders, an sshd each, and the processes that run inside them.

Everything that runs on a machine inherits CROSSOVER_MACHINE from its sshd, so that all of it can be found and ended,
however it was started and whatever became of its parent.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import pwd
import random
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from providers.clouds.local import sshd as sshd_of
from providers.clouds.local.config import LocalConfig
from providers.clouds.local.processes import stat
from providers.errors import InvalidRequest, NoCapacity, NotFound, TerminateFailed, Unavailable

MARK = "CROSSOVER_MACHINE"
PASSED_ON = ("PIP_", "UV_", "SSL_CERT", "REQUESTS_CA", "XDG_CACHE_HOME", "HOME=", "LANG", "HTTP_PROXY", "HTTPS_PROXY")
"""A machine of `local` is this computer: it reaches package indexes the way this user does."""
START_DEADLINE_S = 20.0
KILLED_S = 30.0
"""What was killed is gone within it, also on a computer that stands still for seconds."""
NO_SHELLS = ("nologin", "false")


class LocalClient:
    """Creates, lists and ends machine folders. A call takes at most a few seconds; only the end of a machine
    that does not want to end takes longer (`destroy`)."""

    def __init__(self, config: LocalConfig) -> None:
        self.config = config

    def create(self, record: Mapping[str, Any], services: Mapping[str, int], public_key: str) -> str:
        """Makes the folder of a machine and returns its id. The folder appears whole or not at all."""
        machine_id = f"m-{secrets.token_hex(4)}"
        folder = self.folder(machine_id)
        self.config.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = folder.with_name(f".{machine_id}.new")
        (draft / "root").mkdir(parents=True, mode=0o700)
        _run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", machine_id, "-f", str(draft / "host_key")])
        (draft / "authorized_keys").write_text(public_key + "\n")
        with self._lock():
            ports = self._free_ports(list(services))
            body = {**record, "id": machine_id, "ports": ports}
            (draft / "machine.json").write_text(json.dumps(body, indent=2) + "\n")
            self._write_sshd_config(draft, folder, ports["ssh"])
            draft.rename(folder)
        return machine_id

    def start(self, machine_id: str) -> None:
        """Starts the machine's sshd unless it runs. Raises InvalidRequest where sshd is missing or its port taken."""
        folder = self.folder(machine_id)
        if self.running(machine_id):
            return
        account()
        sshd = shutil.which(self.config.sshd, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        if sshd is None:
            raise InvalidRequest(
                "sshd is missing on this computer: run scripts/bootstrap (it installs openssh-server "
                "without starting its service)"
            )
        port = int(self.record(machine_id)["ports"]["ssh"])
        if not _bindable(port):
            raise InvalidRequest(
                f"port {port} on 127.0.0.1, which machine {machine_id} has chosen for its sshd, is in use by another "
                f"program: end that program (ss -ltnp 'sport = :{port}' names it), or destroy the machine"
            )
        if os.geteuid() == 0:
            _privilege_separation_folder(Path("/run/sshd"))
        sshd_of.forget(folder)
        log = folder / "sshd.log"
        subprocess.run(
            [sshd, "-f", str(sshd_of.configuration(folder)), "-E", str(log)],
            cwd="/",
            start_new_session=True,
            check=False,  # it tells its log what is wrong, and writes its pid file once it listens
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_DEADLINE_S
        while not sshd_of.remember(folder):
            if time.monotonic() > deadline:
                tail = log.read_text()[-500:] if log.exists() else "it wrote no log"
                raise Unavailable(f"sshd of local machine {machine_id} did not start in {START_DEADLINE_S:g} s: {tail}")
            time.sleep(0.02)

    def running(self, machine_id: str) -> bool:
        """Whether the machine's sshd is alive."""
        return sshd_of.alive(self.folder(machine_id)) is not None

    def record(self, machine_id: str) -> dict[str, Any]:
        """The machine as it was recorded. Raises NotFound, or Unavailable.

        A state folder that is not there says nothing about machines: CROSSOVER_LOCAL_STATE forgotten in one shell
        must not lose a fleet.
        """
        path = self.folder(machine_id) / "machine.json"
        if not self.config.state.is_dir():
            raise Unavailable(f"{self.config.state}, which holds the machines of `local`, is not there")
        try:
            body: dict[str, Any] = json.loads(path.read_text())
        except FileNotFoundError:
            raise NotFound(f"local has no machine {machine_id}") from None
        except (OSError, ValueError) as e:
            raise Unavailable(f"cannot read {path}: {e}") from e
        return body

    def ids(self) -> list[str]:
        """Every machine whose folder is whole."""
        if not self.config.state.is_dir():
            return []
        return sorted(p.parent.name for p in self.config.state.glob("m-*/machine.json"))

    def host_key(self, machine_id: str) -> str:
        """The machine's public host key, "ssh-ed25519 AAAA…"."""
        try:
            return " ".join((self.folder(machine_id) / "host_key.pub").read_text().split()[:2])
        except FileNotFoundError:
            raise NotFound(f"local has no machine {machine_id}") from None

    def destroy(self, machine_id: str, grace_s: float = 5.0) -> None:
        """Ends every process of the machine, by SIGKILL after `grace_s`, and removes its folder. Raises TerminateFailed
        if one survives."""
        deadline = time.monotonic() + grace_s
        self._signal_all(machine_id, signal.SIGTERM)
        while self.processes(machine_id) and time.monotonic() < deadline:
            time.sleep(0.05)
        deadline = time.monotonic() + KILLED_S
        while pids := self.processes(machine_id):
            self._signal_all(machine_id, signal.SIGKILL)
            if time.monotonic() > deadline:
                raise TerminateFailed(
                    f"processes {pids} of local machine {machine_id} do not end: kill -9 them by hand"
                )
            time.sleep(0.05)
        folder = self.folder(machine_id)
        gone = folder.with_name(f".{machine_id}.gone")
        with contextlib.suppress(FileNotFoundError):
            folder.rename(gone)  # the machine ceases to exist at once, even if removing its files is interrupted
        shutil.rmtree(gone, ignore_errors=True)

    def folder(self, machine_id: str) -> Path:
        """The machine's folder. Raises InvalidRequest for what cannot be an id of ours."""
        if not machine_id.startswith("m-") or not machine_id[2:].isalnum():
            raise InvalidRequest(f"{machine_id!r} is no id of a local machine (they look like m-1a2b3c4d)")
        return self.config.state / machine_id

    def processes(self, machine_id: str) -> list[int]:
        """Ids of all live processes of the machine: those with its mark, its sshd, and what descends from them.

        sshd overwrites its own environment when it sets its title, so the mark does not tell it.
        """
        folder = self.folder(machine_id)
        mark = os.fsencode(f"{MARK}={folder}")
        title = sshd_of.shown(sshd_of.configuration(folder))
        own = sshd_of.alive(folder)
        parents: dict[int, int] = {}
        found: set[int] = set()
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            with contextlib.suppress(OSError):  # ended meanwhile, or another user's
                process = stat(entry)
                if process.state == "Z":
                    continue
                parents[int(entry.name)] = process.parent
                if (
                    int(entry.name) == own
                    or mark in (entry / "environ").read_bytes().split(b"\0")
                    or title in (entry / "cmdline").read_bytes()
                ):
                    found.add(int(entry.name))
        while descendants := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= descendants
        return sorted(found)

    def _signal_all(self, machine_id: str, number: signal.Signals) -> None:
        for pid in self.processes(machine_id):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        """Two machines that are made at once must not choose the same port."""
        with (self.config.state / ".lock").open("w") as f:
            fcntl.flock(f, fcntl.LOCK_EX)
            yield

    def _free_ports(self, services: list[str]) -> dict[str, int]:
        taken: set[int] = set()
        for machine_id in self.ids():
            with contextlib.suppress(NotFound):  # ended meanwhile
                taken |= {int(port) for port in self.record(machine_id)["ports"].values()}
        candidates = [p for p in range(self.config.first_port, self.config.last_port + 1) if p not in taken]
        random.shuffle(candidates)  # so that two clones of the project rarely meet
        free = list(itertools.islice((p for p in candidates if _bindable(p)), len(services)))
        if len(free) < len(services):
            raise NoCapacity(
                f"fewer than {len(services)} ports are free from {self.config.first_port} to {self.config.last_port}: "
                "CROSSOVER_LOCAL_PORTS names others"
            )
        return dict(zip(services, free, strict=True))

    def _write_sshd_config(self, draft: Path, folder: Path, port: int) -> None:
        environment = {
            "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin",
            **{k: v for k, v in os.environ.items() if f"{k}=".upper().startswith(PASSED_ON)},
            MARK: str(folder),
        }
        lines = [
            "ListenAddress 127.0.0.1",
            f"Port {port}",
            f"HostKey {_quoted(f'{folder}/host_key')}",
            # The one of them in which % begins a token (sshd_config(5)).
            f"AuthorizedKeysFile {_quoted(f'{folder}/authorized_keys'.replace('%', '%%'))}",
            f"PidFile {_quoted(f'{folder}/sshd.pid')}",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "UsePAM no",
            "StrictModes no",
            "MaxSessions 50",
            "MaxStartups 50",
            "PrintMotd no",
            "Subsystem sftp internal-sftp",
            # One SetEnv: sshd takes the first directive only (sshd_config(5)).
            "SetEnv " + " ".join(_quoted(f"{k}={v}") for k, v in environment.items()),
        ]
        path = sshd_of.configuration(draft)
        path.touch(mode=0o600)
        path.write_text("\n".join(lines) + "\n")


def account() -> str:
    """Whose machines are: this process' own account. Raises InvalidRequest where sshd lets nobody in as it."""
    user = os.geteuid()
    try:
        entry = pwd.getpwuid(user)
    except KeyError:
        raise InvalidRequest(
            f"user id {user} has no account on this computer (`getent passwd {user}` says nothing), so sshd lets "
            "nobody in as it: run as one that has an account"
        ) from None
    if Path(entry.pw_shell).name in NO_SHELLS:
        raise InvalidRequest(
            f"the account {entry.pw_name} has {entry.pw_shell} for a login shell, so no command runs over SSH on "
            f"machines of `local`, which run as it: run as another, or give it one (chsh -s /bin/sh {entry.pw_name})"
        )
    return entry.pw_name


def _privilege_separation_folder(folder: Path) -> None:
    """What sshd demands for root. Other sshd's of this computer use it too: it is open, whatever our umask."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir()
        folder.chmod(0o755)


def _quoted(value: str) -> str:
    """As one word of sshd_config."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _bindable(port: int) -> bool:
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _run(argv: list[str]) -> None:
    try:
        subprocess.run(argv, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise InvalidRequest(f"{argv[0]} is missing on this computer: run scripts/bootstrap") from None
    except subprocess.CalledProcessError as e:
        raise Unavailable(f"{argv[0]} failed: {e.stderr.strip()}") from e
