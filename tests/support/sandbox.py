"""Machines that really run what emulated vendors are asked to boot: light Linux sandboxes, made of namespaces.

A machine is a process 1 (sandbox_init.sh) in mount, process, network, host name and IPC namespaces of its own:

- Its root is this computer's file system under an overlay whose upper layer is a tmpfs of the mount namespace: it may
  write anywhere, nothing of it reaches the computer, and it is gone with the machine. /root, /home, /etc/ssh, /run,
  /tmp and /dev begin fresh; /usr/local/bin/python3 is the Python of the tests. This guards against accidents alone.
- /var/cache/crossover is such an overlay over the cache that `prepare_cache` fills once per user, for a machine has no
  way to a package index.
- Its network is that of tests/support/sandbox_net.py: an outer address in 127.64.0.0/10, for a VM with its own ports,
  for a container with random ones. Machines reach one another there. Nothing else is reached from inside but what is
  `lent`.
- A VM (`Boot` without a command) gets its `user_data` as cloud-init would read it and the authorized keys for `root`
  and for `ubuntu`, another name of root, and runs sshd, by itself or below systemd (sandbox_systemd.py). A container
  runs its command, and ends with it.
- Process 1 also ends when its stdin does, whose other end only this process holds: with the process that booted it, in
  whatever way that ended, the kernel ends all that runs in the machine, its mounts and its network.

- A *bare* machine (`boot(order, bare=Bare(repository))`, tests/support/sandbox_bare.py) has no Python but Debian's,
  none of the programs that a bundle brings, and an apt that really installs them.
- `reboot` ends process 1 and boots the same root again: another boot id, the same address and ports.

It needs root and Linux; `sandboxes` skips the test, and says why, where that cannot be had.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from images.remote.host import Host
from images.sources import REPOSITORY, repository_source
from images.tokens import environment_folder
from images.vehicles.ssh.scripts import read_script
from tests.clouds.server import Boot, Booted
from tests.support import sandbox_bare, sandbox_systemd
from tests.support.sandbox_bare import Bare
from tests.support.sandbox_net import Impossible, Network

CACHE = "/var/cache/crossover"
REQUIREMENTS = ("requirements/supervisor.txt", "requirements/simulator.txt")
PROGRAMS = ("unshare", "nsenter", "findmnt", "setpriv", "pivot_root", "ip", "sshd", "ssh-keygen")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SSHD = ("/usr/sbin/sshd", "-D", "-e", "-f", "/etc/ssh/sshd_config")
SSHD_CONFIG = """HostKey /etc/ssh/ssh_host_ed25519_key
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
UsePAM no
PidFile /run/sshd.pid
"""
BUILD_S = 600.0
END_S = 20.0

INIT = Path(__file__).with_name("sandbox_init.sh")

_Seed = dict[str, tuple[str | bytes, int]]
"""Files put on a machine before it starts: path below its root → content and mode."""


@dataclass
class _Sandbox:
    """`process` is unshare(1), whose only child is the machine's process 1."""

    process: subprocess.Popen[str]
    folder: Path
    wired: int
    """By what the network knows it: the number of its first `process`."""
    command: Sequence[str]
    environment: Mapping[str, str]
    spaces: tuple[int, int]
    """Open files: its mount and its network namespace, which a reboot keeps."""
    group: Path | None
    """Its control group, where it runs systemd."""


@dataclass
class Sandboxes:
    """The `Host` of emulated vendors. Each machine has a folder below `folder`, with its `log`. `close` it."""

    folder: Path
    cache: Path
    """From `prepare_cache`, or an empty folder."""
    files: _Seed = field(default_factory=dict)
    """Put on each machine besides."""
    image: Mapping[str, str] = field(default_factory=dict)
    """What the image of each container sets."""
    lent: tuple[int, ...] = ()
    """Ports of this computer's loopback that each machine finds on its own."""
    _machines: dict[str, _Sandbox] = field(default_factory=dict)
    _network: Network | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _closed: threading.Event = field(default_factory=threading.Event)
    _watcher: threading.Thread | None = None

    def boot(
        self, order: Boot, *, systemd: bool = False, bare: Bare | None = None, files: _Seed | None = None
    ) -> Booted:
        """Starts it, with `files` beside those of all machines; returns when its ports are reserved, which takes a
        fraction of a second (seconds for a bare one), and not when they answer. A VM with `systemd` needs what
        `sandbox_systemd.missing` tells, a bare one what `sandbox_bare.missing` does. Raises ValueError for what cannot
        be booted, Impossible where this computer does not allow it."""
        seed = _common_seed(order.machine_id) if order.command else _vm_seed(order)
        command = order.command or (sandbox_systemd.COMMAND if systemd else SSHD)
        if systemd:
            seed |= sandbox_systemd.seed(SSHD)
        seed |= self.files | (files or {})
        image = self.image if order.command else {}
        environment = {"PATH": PATH, "HOME": "/root", **image, **order.environment}
        with self._lock:
            if self._network is None:
                network = Network()
                network.start()
                self._network = network
        folder = self.folder / order.machine_id
        try:
            folder.mkdir()
        except FileExistsError:
            raise ValueError(f"machine {order.machine_id} is there already") from None
        if bare is not None:
            seed = sandbox_bare.seed(seed)
            bare.lay_out(folder)
        _write_seed(folder / "seed", seed)
        process = _start(folder, self.cache, "machine" if bare is None else "bare", command, environment)
        group = sandbox_systemd.enclose(_init(process)) if systemd else None
        spaces = _spaces(process)
        with self._lock:
            made = _Sandbox(process, folder, process.pid, command, environment, spaces, group)
            self._machines[order.machine_id] = made
        try:
            address, ports = self._network.wire(process.pid, order.ports, not order.command, order.admits, self.lent)
            _go(process)
        except BaseException:
            self.end(order.machine_id)
            raise
        if bare is not None:
            bare.keep(folder)
            self._watch()
        return Booted(address, ports)

    def reboot(self, machine_id: str) -> None:
        """As if its power were cut for a moment: all processes end, /run, /tmp and /dev/shm are empty, the boot id is
        another one, and the command is run again. Returns when that has begun, not when it answers."""
        with self._lock:
            machine = self._machines[machine_id]
            _stop(machine.process)
            if machine.group is not None:
                sandbox_systemd.dissolve(machine.group)
            machine.process = _start(
                machine.folder, self.cache, "again", machine.command, machine.environment, machine.spaces
            )
            if machine.group is not None:
                machine.group = sandbox_systemd.enclose(_init(machine.process))
            _go(machine.process)

    def _watch(self) -> None:
        """Reboots the bare machines that ask for it, from now on and until `close`."""
        with self._lock:
            if self._watcher is None:
                self._watcher = threading.Thread(target=self._serve_reboots, name="sandbox reboots", daemon=True)
                self._watcher.start()

    def _serve_reboots(self) -> None:
        while not self._closed.wait(sandbox_bare.POLL_S):
            for machine_id, machine in list(self._machines.items()):
                if sandbox_bare.asks_for_reboot(machine.process.pid):
                    with contextlib.suppress(KeyError):  # it was ended meanwhile
                        self.reboot(machine_id)

    def end(self, machine_id: str) -> None:
        """Returns when none of its processes is left; fine if there is none."""
        with self._lock:
            machine = self._machines.pop(machine_id, None)
        if machine is None:
            return
        assert self._network is not None
        self._network.cut(machine.wired)
        _stop(machine.process)
        for space in machine.spaces:
            os.close(space)
        if machine.group is not None:
            sandbox_systemd.dissolve(machine.group)
        shutil.rmtree(machine.folder)

    def close(self) -> None:
        """Ends every machine."""
        self._closed.set()
        if self._watcher is not None:
            self._watcher.join()
        for machine_id in list(self._machines):
            self.end(machine_id)
        if self._network is not None:
            self._network.close()
            self._network = None

    def processes(self, machine_id: str) -> dict[int, list[str]]:
        """Live processes of the machine, less those below systemd, by this computer's numbers → their argument lists;
        empty once it ended."""
        machine = self._machines.get(machine_id)
        if machine is None or machine.process.poll() is not None:
            return {}
        with contextlib.suppress(FileNotFoundError):
            return processes_in(os.readlink(f"/proc/{machine.process.pid}/ns/pid_for_children"))
        return {}

    def log(self, machine_id: str) -> str:
        """What the machine's process 1 and its command have said so far."""
        machine = self._machines.get(machine_id)
        return (machine.folder / "log").read_text(errors="replace") if machine else ""


@contextlib.contextmanager
def sandboxes(cache: Path | None = None) -> Iterator[Sandboxes]:
    """A Host while the block lasts, with no machine left afterwards. Skips the test where it cannot be had."""
    if reason := missing():
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(prefix="xo-sandbox-") as name:
        folder = Path(name)
        (folder / "no-cache").mkdir()
        host = Sandboxes(folder, cache or folder / "no-cache")
        try:
            yield host
        finally:
            host.close()


_missing: list[str] = []


def missing() -> str:
    """What this computer lacks for sandboxes, "" if nothing: asked once, by booting a machine that ends at once."""
    if not _missing:
        _missing.append(_try())
    return _missing[0]


def _try() -> str:
    if sys.platform != "linux":
        return "sandboxes are made of Linux namespaces"
    if absent := [name for name in PROGRAMS if shutil.which(name, path=f"{os.environ['PATH']}:{PATH}") is None]:
        return f"sandboxes need {', '.join(absent)}: apt-get install util-linux iproute2 openssh-server"
    if os.geteuid() != 0:  # and in a user namespace sshd could not drop its rights
        return "sandboxes need root: for overlays of the file system, for port 22, and for what sshd does"
    with tempfile.TemporaryDirectory(prefix="xo-sandbox-") as name:
        (cache := Path(name) / "cache").mkdir()
        host = Sandboxes(Path(name), cache)
        try:
            host.boot(Boot("trial"))
        except Impossible as e:
            return f"no sandbox can be made here: {e}"
        finally:
            host.close()
    return ""


def prepare_cache(
    folder: Path | None = None, requirements: Sequence[str] = REQUIREMENTS, *, python: str | None = None
) -> Path:
    """The cache with the environments of those files, built where they are not there yet, by the very script that
    builds them on machines: it sees the cache at /var/cache/crossover and this computer's network, and waits for
    whoever builds the same. `folder` is crossover/sandbox in the user's cache directory unless given. `python` is the
    interpreter, the tests' own unless given; each has a cache. Bare machines have `sandbox_bare.PYTHON`.

    Skips the test where there can be no sandbox; raises RuntimeError with the script's output if it fails.
    """
    if reason := missing():
        pytest.skip(reason)
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = folder or base / "crossover" / ("sandbox" if python is None else f"sandbox-{Path(python).name}")
    folder.mkdir(parents=True, exist_ok=True)
    nowhere = Host("", 0, "", "", root="/opt/crossover", cache=CACHE, bind="")
    for path in requirements:
        name = environment_folder(repository_source("requirements.txt", path), nowhere)
        # Python is where it is in machines, so that the link can be followed from here.
        if not os.access(folder / Path(name).relative_to(CACHE) / "bin" / "python", os.X_OK):
            _build(folder, name, REPOSITORY / path, python or _python())
    return folder


def _build(cache: Path, name: str, requirements: Path, python: str) -> None:
    script = f"exec </requirements.txt\n{read_script('environment')}"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    with tempfile.TemporaryDirectory(prefix="xo-sandbox-") as work:
        _write_seed(Path(work) / "seed", {"requirements.txt": (requirements.read_text(), 0o644)})
        command = ("sh", "-c", script, "crossover", name, python, "")
        process = _start(Path(work), cache, "builder", command, environment)
        try:
            _go(process)
            if process.wait(BUILD_S):
                said = (Path(work) / "log").read_text(errors="replace")
                raise RuntimeError(f"the environment of {requirements.name} cannot be built:\n{said}")
        finally:
            _stop(process)


def _vm_seed(order: Boot) -> _Seed:
    """What cloud-init leaves on the disk."""
    seed = _common_seed(order.machine_id)
    for path, text in _host_key(order.user_data).items():
        seed[f"etc/ssh/{path}"] = (text, 0o644 if path.endswith(".pub") else 0o600)
    passwd = [line for line in Path("/etc/passwd").read_text().splitlines() if not line.startswith("ubuntu:")]
    ubuntu = "ubuntu:x:0:0:root by another name:/home/ubuntu:/bin/bash"
    keys = "".join(f"{key.strip()}\n" for key in order.authorized_keys)
    return seed | {
        "etc/passwd": ("\n".join([*passwd, ubuntu, ""]), 0o644),
        "etc/ssh/sshd_config": (SSHD_CONFIG, 0o644),
        "root/.ssh/authorized_keys": (keys, 0o600),
        "home/ubuntu/.ssh/authorized_keys": (keys, 0o600),
        "run/sshd/.keep": ("", 0o644),
    }


def _common_seed(machine_id: str) -> _Seed:
    name = re.sub(r"[^a-z0-9-]+", "-", machine_id.lower()).strip("-")[:60] or "machine"
    return {
        "etc/hostname": (f"{name}\n", 0o644),
        "etc/hosts": (f"127.0.0.1 localhost {name}\n::1 localhost\n", 0o644),
        "usr/local/bin/python3": (f'#!/bin/sh\nexec {shlex.quote(_python())} "$@"\n', 0o755),
    }


def _host_key(user_data: str | None) -> dict[str, str]:
    """Host key files by name, as cloud-init's module `ssh` makes them of this user data. Raises ValueError for user
    data that is no #cloud-config or holds anything but host keys: what is not done here must not be taken for done."""
    head, _, rest = (user_data or "#cloud-config\n{}").partition("\n")
    if head.rstrip() != "#cloud-config":
        raise ValueError(f"user_data begins with {head[:40]!r} and not with #cloud-config")
    document = yaml.safe_load(rest) or {}
    if not isinstance(document, dict):
        raise ValueError("user_data holds no object behind #cloud-config")  # noqa: TRY004 - a value from outside
    if unknown := sorted(set(document) - {"ssh_deletekeys", "ssh_keys"}):
        raise ValueError(f"user_data has keys that sandboxes do not know: {', '.join(unknown)}")
    keys = document.get("ssh_keys")
    if keys is None:  # every machine has a key; cloud-init makes it
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "key"
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)], check=True)
            keys = {"ed25519_private": path.read_text(), "ed25519_public": path.with_suffix(".pub").read_text()}
    if not isinstance(keys, dict) or set(keys) != {"ed25519_private", "ed25519_public"}:
        raise ValueError("user_data: ssh_keys must be an object of ed25519_private and ed25519_public")
    texts = {name: f"{str(text).rstrip()}\n" for name, text in keys.items()}
    return {
        "ssh_host_ed25519_key": texts["ed25519_private"],
        "ssh_host_ed25519_key.pub": texts["ed25519_public"],
    }


def _write_seed(folder: Path, seed: _Seed) -> None:
    """The files that are put over the machine's root, in folders with the modes that they have there."""
    for name, (content, mode) in seed.items():
        path = folder / name
        for parent in [*reversed(path.relative_to(folder).parents)]:
            (folder / parent).mkdir(parents=True, exist_ok=True)
            (folder / parent).chmod(0o755)
        path.touch(mode)
        path.chmod(mode)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    for private in ("root", "root/.ssh", "home/ubuntu/.ssh"):
        if (folder / private).is_dir():
            (folder / private).chmod(0o700)


def _python() -> str:
    """The interpreter under the tests' virtual environment."""
    return os.path.realpath(sys.executable)


def _start(
    folder: Path,
    cache: Path,
    kind: str,
    command: Sequence[str],
    environment: Mapping[str, str],
    kept: tuple[int, ...] = (),
) -> subprocess.Popen[str]:
    """A machine whose file system is there and whose command waits for `_go`. `kept` are namespaces of before, from
    `_spaces`. Raises Impossible."""
    if kept:
        mount, net = kept
        within = ["nsenter", f"--mount=/proc/self/fd/{mount}", f"--net=/proc/self/fd/{net}"]
        new: tuple[str, ...] = ()
    else:
        for name in ("root", "layers"):
            (folder / name).mkdir(parents=True)
        within, new = [], ("--mount", *(["--net"] if kind != "builder" else []))
    init = ["bash", "-c", INIT.read_text(), "sandbox", str(folder), str(cache), kind, sys.base_prefix]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [*within, "unshare", *new, "--pid", "--uts", "--ipc", "--fork", "--kill-child", *init, *command],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, cwd="/", env=environment,
            pass_fds=kept, start_new_session=True,  # what interrupts the tests is not for the machines
        )  # fmt: skip
    assert process.stdout is not None
    with process.stdout:
        if process.stdout.readline() == "ready\n":
            return process
    _stop(process)
    raise Impossible((folder / "log").read_text(errors="replace").strip() or "its process 1 ends without a word")


def _init(process: subprocess.Popen[str]) -> int:
    """This computer's number of the machine's process 1."""
    return int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text())


def _spaces(process: subprocess.Popen[str]) -> tuple[int, int]:
    """Open files that keep the machine's mounts and its network."""
    mount, net = (os.open(f"/proc/{_init(process)}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC) for name in ("mnt", "net"))
    return mount, net


def _go(process: subprocess.Popen[str]) -> None:
    """Lets the command begin."""
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def _stop(process: subprocess.Popen[str]) -> None:
    """Ends process 1; unshare(1), its parent, ends when the kernel has ended all others of its namespace."""
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:  # its death signal goes to process 1
        process.kill()
        process.wait()


def processes_in(namespace: str) -> dict[int, list[str]]:
    """Live processes of a namespace, "pid:[…]" → their argument lists."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.readlink(entry / "ns" / "pid") == namespace:
                argv = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
                if argv:  # a zombie has none
                    found[int(entry.name)] = argv
    return found
