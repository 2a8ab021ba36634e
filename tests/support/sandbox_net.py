"""The network of sandboxes: which outer addresses lead to which machine, for this computer and for the machines.

Each machine has a network namespace of its own. A relay in this process listens at a machine's outer address (one of
127.64.0.0/10) and connects to the machine's interface inside: a socket belongs to the namespace in which its thread
made it, so that nothing of ours runs in the machine. A port is open outside exactly while something inside listens on
that interface; what listens on the inside's loopback alone is not reached, as it is not at a vendor's. A connection
that the machine's firewall (`Boot.admits`) does not let in is reset.

Machines reach one another, and themselves, at the same outer addresses: a further namespace, the hub, is joined to
every machine by a pair of virtual interfaces, and the relay listens there too. This computer's own interfaces, routes
and settings are not touched.

Ports of this computer that are lent to a machine are listened for on the machine's own loopback, and lead to this
one's: a test's server has one address, 127.0.0.1 and its port, everywhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import os
import random
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count

from tests.clouds.server import everybody

POLL_S = 0.03
"""How much later than the inside the outside opens and closes a port."""
_NEWNET = 0x40000000
_SOCK_DIAG, _BY_FAMILY, _REQUEST, _ERROR, _ANY = 4, 20, 1, 2, 0xFFFFFFFF
"""Of linux/netlink.h, linux/sock_diag.h and linux/inet_diag.h: protocol, message type, flag, type, "no cookie"."""
_TRIES = 50

_libc = ctypes.CDLL(None, use_errno=True)


class Impossible(Exception):
    """This computer does not allow sandboxes; the message says what is in the way."""


@dataclass
class _Door:
    """One listening socket outside."""

    sock: socket.socket
    inner: int
    open: bool = False


@dataclass
class _Wired:
    """A machine's ends outside. `doors` stand in pairs: on this computer and in the hub."""

    namespace: int
    address: str
    """Of its interface, inside."""
    diagnosis: socket.socket
    """Tells which sockets the inside has."""
    outer: str
    """Its address outside."""
    doors: list[_Door]
    lent: list[socket.socket]
    """Inside, for ports of this computer."""
    admits: Callable[[str, int], bool]
    connections: set[asyncio.Task[None]] = field(default_factory=set)
    watch: asyncio.Task[None] | None = None


class Network:
    """Thread-safe. `close` it."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._wired: dict[int, _Wired] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sandbox relay", daemon=True)
        self._hub = -1

    def start(self) -> None:
        """Makes the hub. Raises Impossible."""
        made: list[int | OSError] = []

        def unshare() -> None:  # in a thread that ends: the rest of the process stays where it is
            try:
                _call(_libc.unshare, _NEWNET)
                made.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))
            except OSError as e:
                made.append(e)

        thread = threading.Thread(target=unshare)
        thread.start()
        thread.join()
        if isinstance(made[0], OSError):
            raise Impossible(f"no network namespace can be made: {made[0]}")
        self._hub = made[0]
        _configure(self._hub, "link set lo up")
        self._thread.start()

    def wire(
        self,
        pid: int,
        ports: Iterable[int],
        own_ports: bool,
        admits: Callable[[str, int], bool] = everybody,
        lent: Iterable[int] = (),
    ) -> tuple[str, Mapping[int, int]]:
        """Joins the namespace of process `pid` to the hub and gives it an outer address: that, and inner → outer
        port, which are the same if `own_ports`. `admits` is `Boot.admits`, `lent` are ports of this computer's
        loopback. Raises Impossible."""
        namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            diagnosis = socket_in(namespace, socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG)
            number = next(self._numbers)
            here, there = (f"10.{number >> 15 & 255}.{number >> 7 & 255}.{(number << 1 & 255) + end}" for end in (0, 1))
            _configure(
                self._hub,
                f"link add v{number} type veth peer name eth0 netns {pid}",
                f"link set v{number} up",
                f"addr add {here} peer {there} dev v{number}",
            )
            _configure(
                namespace,
                "link set lo up",
                "link set eth0 up",
                f"addr add {there} peer {here} dev eth0",
                # Of loopback's addresses the machine keeps those that no machine can have outside.
                "route del local 127.0.0.0/8 dev lo table local",
                "route add local 127.0.0.0/10 dev lo table local src 127.0.0.1",
                f"route add 127.64.0.0/10 via {here} dev eth0 src {there}",
            )
            address, doors = self._bind(list(ports), own_ports)
        except BaseException:
            os.close(namespace)
            raise
        wired = _Wired(namespace, there, diagnosis, address, doors, [_lent(namespace, port) for port in lent], admits)
        self._wired[pid] = wired
        self._run(self._begin(wired))
        return address, {door.inner: door.sock.getsockname()[1] for door in doors}

    def cut(self, pid: int) -> None:
        """Closes the machine's outer ports and resets its connections; fine if it has none."""
        if wired := self._wired.pop(pid, None):
            self._run(self._end(wired))

    def close(self) -> None:
        """Ends the relay and the hub."""
        for pid in list(self._wired):
            self.cut(pid)
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._loop.close()
        if self._hub >= 0:
            os.close(self._hub)
            self._hub = -1

    def _bind(self, ports: list[int], own_ports: bool) -> tuple[str, list[_Door]]:
        """Sockets on an address that nobody has, none of them listening yet: bound ports refuse connections."""
        for _ in range(_TRIES):
            address = f"127.{random.randrange(64, 128)}.{random.randrange(256)}.{random.randrange(1, 255)}"
            doors: list[_Door] = []
            try:
                for port in ports:
                    outer = port if own_ports else random.randrange(20000, 32000)  # below those of outgoing connections
                    for namespace in (None, self._hub):
                        sock = socket_in(namespace)
                        doors.append(_Door(sock, port))
                        sock.bind((address, outer))
                        # Now that nobody else has the port: listening again must not mind connections of before.
                        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                return address, doors
            except OSError as e:
                problem = f"port {outer} of loopback's address {address} cannot be bound: {e}"
                for door in doors:
                    door.sock.close()
        raise Impossible(f"{problem}; is it taken on 0.0.0.0?")

    def _run(self, work: Coroutine[None, None, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=60)

    async def _begin(self, wired: _Wired) -> None:
        wired.watch = self._loop.create_task(self._watch(wired))
        for sock in wired.lent:
            self._loop.add_reader(sock, self._lend, wired, sock)

    async def _end(self, wired: _Wired) -> None:
        assert wired.watch is not None
        tasks = [wired.watch, *wired.connections]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for door in wired.doors:
            if door.open:
                self._loop.remove_reader(door.sock)
            door.sock.close()
        for sock in wired.lent:
            self._loop.remove_reader(sock)
            sock.close()
        wired.diagnosis.close()
        os.close(wired.namespace)
        if not wired.watch.cancelled():
            wired.watch.result()  # raises what ended it

    async def _watch(self, wired: _Wired) -> None:
        """Opens and closes ports as the inside does."""
        while True:
            listening = {port for port in {door.inner for door in wired.doors} if _listens(wired, port)}
            for door in wired.doors:
                if door.open != (door.inner in listening):
                    door.open = not door.open
                    if door.open:
                        door.sock.listen(1024)
                        self._loop.add_reader(door.sock, self._accept, wired, door)
                    else:
                        self._loop.remove_reader(door.sock)
                        door.sock.shutdown(socket.SHUT_RDWR)  # ends listening and stays bound
            await asyncio.sleep(POLL_S)

    def _accept(self, wired: _Wired, door: _Door) -> None:
        with contextlib.suppress(OSError):  # the caller may have gone again
            outer, (source, _) = door.sock.accept()
            source = next((w.outer for w in list(self._wired.values()) if w.address == source), source)
            if not wired.admits(source, door.inner):
                outer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                outer.close()
                return
            self._connect(wired, _relay(outer, wired.namespace, (wired.address, door.inner)))

    def _lend(self, wired: _Wired, sock: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the caller may have gone again
            asking = sock.accept()[0]
            self._connect(wired, _relay(asking, None, sock.getsockname()))

    def _connect(self, wired: _Wired, relay: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(relay)
        wired.connections.add(task)
        task.add_done_callback(wired.connections.discard)


def socket_in(
    namespace: int | None, family: int = socket.AF_INET, kind: int = socket.SOCK_STREAM, protocol: int = 0
) -> socket.socket:
    """A non-blocking socket of that network namespace, or of this process's own; TCP unless told otherwise."""
    if namespace is None:
        sock = socket.socket(family, kind, protocol)
    else:
        own = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _call(_libc.setns, namespace, _NEWNET)
            try:
                sock = socket.socket(family, kind, protocol)
            finally:
                _call(_libc.setns, own, _NEWNET)
        finally:
            os.close(own)
    sock.setblocking(False)
    return sock


def _lent(namespace: int, port: int) -> socket.socket:
    sock = socket_in(namespace)
    sock.bind(("127.0.0.1", port))
    sock.listen(1024)
    return sock


async def _relay(outer: socket.socket, namespace: int | None, service: tuple[str, int]) -> None:
    """Until both sides have ended; what ends in any other way resets both."""
    inner = socket_in(namespace)
    outer.setblocking(False)
    writers: list[asyncio.StreamWriter] = []
    copies: list[asyncio.Task[None]] = []
    clean = False
    try:
        await asyncio.get_running_loop().sock_connect(inner, service)
        (outer_reader, outer_writer), (inner_reader, inner_writer) = [
            await asyncio.open_connection(sock=sock) for sock in (outer, inner)
        ]
        writers = [outer_writer, inner_writer]
        copies = [asyncio.create_task(_copy(outer_reader, inner_writer))]
        copies += [asyncio.create_task(_copy(inner_reader, outer_writer))]
        await asyncio.wait(copies, return_when=asyncio.FIRST_EXCEPTION)
        clean = all(copy.done() and copy.exception() is None for copy in copies)
    except OSError:  # it does not listen any more
        pass
    finally:
        for copy in copies:
            copy.cancel()
        for sock in () if clean else (outer, inner):
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        for writer in writers:
            writer.close() if clean else writer.transport.abort()
        if not writers:
            outer.close()
            inner.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    writer.write_eof()


def _listens(wired: _Wired, port: int) -> bool:
    """Whether a connection to the machine's interface would be taken, asked by sock_diag(7): to read /proc/net/tcp is
    to walk the kernel's whole table of connections, a millisecond each time."""
    address = socket.inet_aton(wired.address)
    about = struct.pack("!HH16s16s", port, 0, address, b"") + struct.pack("=III", 0, _ANY, _ANY)
    query = struct.pack("=BBBBI", socket.AF_INET, socket.IPPROTO_TCP, 0, 0, 0) + about
    wired.diagnosis.send(struct.pack("=IHHII", 16 + len(query), _BY_FAMILY, _REQUEST, 0, 0) + query)
    answer = wired.diagnosis.recv(4096)
    kind, error = struct.unpack_from("=H", answer, 4)[0], struct.unpack_from("=i", answer, 16)[0]
    if kind == _ERROR and error != -errno.ENOENT:
        raise OSError(-error, os.strerror(-error))
    return bool(kind == _BY_FAMILY)


def _configure(namespace: int, *orders: str) -> None:
    """Carries out orders of ip(8) in the namespace, where loopback's addresses may also come over an interface."""
    script = "echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet && exec ip -batch -"
    done = subprocess.run(
        ["nsenter", f"--net=/proc/self/fd/{namespace}", "sh", "-c", script],
        pass_fds=[namespace], input="\n".join(orders), capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise Impossible(f"a network of virtual interfaces cannot be made: {done.stderr.strip()}")


def _call(function: Callable[..., int], *arguments: int) -> None:
    if function(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
