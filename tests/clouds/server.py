"""What the emulated vendors share: a strict JSON server on loopback, faults on demand, and machines that are booted."""

from __future__ import annotations

import json
import math
import re
import socket
import struct
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from http.server import BaseHTTPRequestHandler
from typing import Any, ClassVar, Protocol
from urllib.parse import parse_qs, urlsplit

from tests.clouds.veil import Veil, Way
from tests.support.background import in_background


class Fault(StrEnum):
    """What a vendor or the way to it can do wrong. Each is used up by the next request (or machine) it fits."""

    CREATED_BUT_500 = "created, then 500"
    CREATED_BUT_RESET = "created, then the connection is reset"
    REFUSED_500 = "500, and nothing happened"
    RATE_LIMITED = "429 with Retry-After"
    RATE_LIMITED_SILENT = "429 without Retry-After"
    RETRY_AFTER_0 = "429 with Retry-After: 0"
    RETRY_AFTER_HOUR = "429 with Retry-After: 3600"
    RETRY_AFTER_AGES = "429 with Retry-After: 10^20"
    RETRY_AFTER_DATE = "429 with a Retry-After that is a date years ahead"
    RETRY_AFTER_NO_DIGIT = "429 with Retry-After: ² (which str.isdigit takes for a digit)"
    NO_CAPACITY = "no capacity for the next create"
    SLOW_BOOT = "the next machine boots ten times slower"
    STUCK = "the next machine never leaves its first state"
    VANISHED = "the next machine that is looked at is gone"
    UNKNOWN_STATE = "the next look at a machine shows a state that no documentation has"
    PRICE_JUMP = "the next machine costs ten times what was asked for it"
    PRICE_ZERO = "the next machine costs 0"
    PRICE_NULL = "the next machine has no price"
    PRICE_TEXT = "the next machine costs a text"
    FOREIGN_ROW = "the next listing has somebody else's machines, of every shape"
    LATE_GET = "the next machine is not known by its id for 90 s, and cannot be ended by it"
    LATE_LIST = "the next machine is not listed for 90 s"
    LATE_TAGS = "the next machine has no tags, label or environment for 90 s"
    LATE_ALL = "the next machine is neither known nor listed for 90 s, nor has it tags"
    FLAPPING = "the next machine that is looked at is not there for a minute, twice"
    LIST_DOWN_GET_UP = "listings fail for 100 s, and looks by id work"
    KILLED_BEFORE_ANSWER = "the next machine is made, late in everything, and the plugin is killed before the answer"
    EXPIRED_KEY = "the API key is refused"
    TRUNCATED_JSON = "the next answer breaks off in the middle"


HIDING = frozenset(fault for fault in Fault if fault.name.startswith("LATE_")) | {
    Fault.VANISHED,
    Fault.FLAPPING,
    Fault.LIST_DOWN_GET_UP,
    Fault.KILLED_BEFORE_ANSWER,
}
"""What takes minutes of a clock, or a person who accepts that a machine is gone: the real engine has neither."""


HASTE: Mapping[Fault, Mapping[str, str]] = {
    Fault.RATE_LIMITED: {"Retry-After": "1"},
    Fault.RATE_LIMITED_SILENT: {},
    Fault.RETRY_AFTER_0: {"Retry-After": "0"},
    Fault.RETRY_AFTER_HOUR: {"Retry-After": "3600"},
    Fault.RETRY_AFTER_AGES: {"Retry-After": "1" + "0" * 20},
    Fault.RETRY_AFTER_DATE: {"Retry-After": "Fri, 31 Dec 2049 23:59:59 GMT"},
    Fault.RETRY_AFTER_NO_DIGIT: {"Retry-After": "²"},
}
"""429 → the headers that it comes with."""


COSTS: Mapping[Fault, Any] = {
    Fault.PRICE_JUMP: 223.2,
    Fault.PRICE_ZERO: 0,
    Fault.PRICE_NULL: None,
    Fault.PRICE_TEXT: "1.79 USD",
}
"""What a machine is said to cost an hour."""


LATE: Mapping[Fault, tuple[Way, ...]] = {
    Fault.LATE_GET: (Way.GET,),
    Fault.LATE_LIST: (Way.LIST,),
    Fault.LATE_TAGS: (Way.TAGS,),
    Fault.LATE_ALL: tuple(Way),
    Fault.KILLED_BEFORE_ANSWER: tuple(Way),
}
"""Where a machine that has just been made is not shown."""


def everybody(source: str, port: int) -> bool:
    """A firewall that lets in all."""
    return True


@dataclass(frozen=True, slots=True)
class Boot:
    """What the vendor was asked to boot. A VM has `user_data`; a container has `command` and `environment`."""

    machine_id: str
    authorized_keys: tuple[str, ...] = ()
    user_data: str | None = None
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[int, ...] = (22,)
    """Ports inside that are reached from outside."""
    admits: Callable[[str, int], bool] = everybody
    """Its firewall: whether a connection from an address (that of another machine, or of this computer) to a port
    inside is let in. Asked at every connection."""


@dataclass(frozen=True, slots=True)
class Booted:
    """Where it is reached: inner port → outer port at `address`. A VM is reached under its own ports."""

    address: str
    ports: Mapping[int, int]


class Host(Protocol):
    """Where emulated machines run: `Nowhere`, or tests/support/sandbox.py, which really runs them."""

    def boot(self, order: Boot) -> Booted:
        """Starts it; returns at once."""

    def end(self, machine_id: str) -> None:
        """Ends it with all its processes; fine if there is none."""


class Nowhere:
    """Machines that only exist on paper, for tests of the API alone. Their addresses are documentation's (RFC 5737)."""

    def __init__(self) -> None:
        self.orders: dict[str, Boot] = {}
        self._booted = 0

    def boot(self, order: Boot) -> Booted:
        self.orders[order.machine_id] = order
        self._booted += 1
        return Booted(f"192.0.2.{(self._booted - 1) % 254 + 1}", {port: port for port in order.ports})

    def end(self, machine_id: str) -> None:
        self.orders.pop(machine_id, None)


class Refusal(Exception):
    """An error answer of the vendor's: `body` is JSON, or a text as some vendors send."""

    def __init__(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body
        self.headers = dict(headers or {})


@dataclass(frozen=True, slots=True)
class Request:
    """One request, parsed. `found` holds the named groups of the route's pattern."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Any
    authorization: str
    found: Mapping[str, str]


@dataclass
class Window:
    """Lets in so many requests in any `seconds`, wherever a window of the vendor's may begin."""

    requests: int
    seconds: float = 60.0
    _let_in: deque[float] = field(default_factory=deque)

    def wait_s(self, now: float) -> int:
        """0 if the request is let in, else whole seconds until one will be. Half a second is forgiven: requests that
        were sent evenly do not arrive so."""
        while self._let_in and self._let_in[0] <= now - self.seconds + 0.5:
            self._let_in.popleft()
        if len(self._let_in) >= self.requests:
            return math.ceil(self._let_in[0] + self.seconds - now)
        self._let_in.append(now)
        return 0


Route = tuple[str, str, Callable[[Request], tuple[int, Any]]]
"""Method, pattern of the whole path, handler → (status, body; None for none)."""


@dataclass
class Emulator(ABC):
    """Subclasses give `routes`, `authorize`, the vendor's error envelopes and its machines. `lock` guards all state.

    `clock` is seconds; machines take `boot_s` of it to boot. `creates` are the paths whose requests make machines.
    """

    host: Host
    clock: Callable[[], float] = time.monotonic
    boot_s: float = 0.0
    faults: Counter[Fault] = field(default_factory=Counter)
    seen: list[Request] = field(default_factory=list)
    """Every request that was let in, for validation against the vendor's description."""
    answers: list[tuple[Request, int, Any]] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    key: str = "emulated"
    """The API key that it lets in."""
    undying: bool = False
    """A request to end a machine is answered with success, and nothing ends."""
    costs: dict[str, Any] = field(default_factory=dict)
    """Machine → what it is said to cost (USD/h), where that is not its price."""
    killed: bool = False
    """Whoever asks for a create is killed before he has the answer: see tests/contract/conftest.py."""
    foreign: list[Any] = field(default_factory=list)
    """Rows of machines that are nobody's here, in every listing."""

    shapes: ClassVar[Mapping[str, Any]] = {}
    """Rows as the vendor may show them, and no description has them (tests/clouds/foreign.py)."""
    creates: ClassVar[re.Pattern[str]]

    @property
    @abstractmethod
    def machines(self) -> list[str]:
        """Ids of what bills now."""

    @abstractmethod
    def vanish(self, machine_id: str) -> None:
        """Ends a machine behind everybody's back."""

    @abstractmethod
    def routes(self) -> list[Route]: ...

    @abstractmethod
    def authorize(self, authorization: str) -> None:
        """Raises Refusal for a wrong key."""

    @abstractmethod
    def unauthorized(self) -> Refusal:
        """How the vendor refuses a key."""

    @abstractmethod
    def failure(self, status: int) -> Refusal:
        """How the vendor says 404 for no route, 405, 429 and 500."""

    def inject(self, fault: Fault, times: int = 1) -> None:
        """Makes the next `times` fitting requests or machines go wrong."""
        with self.lock:
            self.faults[fault] += times

    def take(self, fault: Fault) -> bool:
        """Whether the fault is due; it is used up."""
        with self.lock:
            due = self.faults[fault] > 0
            self.faults[fault] -= due
            return due

    @cached_property
    def veil(self) -> Veil:
        """What is not shown now."""
        return Veil(self.clock)

    def made(self, machine_id: str) -> None:
        """The machine is made: its price may go wrong, and when it is shown."""
        for fault, cost in COSTS.items():
            if self.take(fault):
                self.costs[machine_id] = cost
        for fault, ways in LATE.items():
            if self.take(fault):
                self.veil.late(machine_id, *ways)
                self.killed = self.killed or fault is Fault.KILLED_BEFORE_ANSWER

    def shown(self, machine_id: str, way: Way) -> bool:
        """Whether the machine, which is there, is shown there now."""
        if way is not Way.TAGS and self.take(Fault.FLAPPING):
            self.veil.flap(machine_id)
        return not self.veil.hides(machine_id, way)

    def check_listing(self) -> None:
        """Raises Refusal while listings fail."""
        if self.take(Fault.LIST_DOWN_GET_UP):
            self.veil.down()
        if self.clock() < self.veil.list_down_until:
            raise self.failure(500)

    def strangers(self) -> list[Any]:
        """Whose rows stand in a listing beside ours."""
        return [*self.foreign, *(self.shapes.values() if self.take(Fault.FOREIGN_ROW) else ())]

    def answer(self, request: Request) -> tuple[int, Any]:
        """Raises Refusal."""
        if self.take(Fault.EXPIRED_KEY):
            raise self.unauthorized()
        self.authorize(request.authorization)
        for fault, headers in HASTE.items():
            if self.take(fault):
                refusal = self.failure(429)
                raise Refusal(429, refusal.body, headers)
        if self.take(Fault.REFUSED_500):
            raise self.failure(500)
        methods = set()
        for method, pattern, handler in self.routes():
            if match := re.fullmatch(pattern, request.path):
                methods.add(method)
                if method == request.method:
                    known = Request(**{**_fields(request), "found": match.groupdict()})
                    self.seen.append(known)
                    status, body = handler(known)
                    self.answers.append((known, status, body))
                    return status, body
        raise self.failure(405 if methods else 404)

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Its address, "http://127.0.0.1:PORT", while the block lasts."""
        with in_background(_handler(self)) as port:
            yield f"http://127.0.0.1:{port}"


def only(body: Any, required: set[str], optional: set[str], refuse: Callable[[str], Refusal]) -> dict[str, Any]:
    """The body if it is an object with those fields; unknown and missing ones are refused, as the vendors do."""
    if not isinstance(body, dict):
        raise refuse("the body must be an object")
    if unknown := sorted(set(body) - required - optional):
        raise refuse(f"unknown field {unknown[0]}")
    if missing := sorted(required - set(body)):
        raise refuse(f"missing field {missing[0]}")
    return body


def _fields(request: Request) -> dict[str, Any]:
    return {name: getattr(request, name) for name in Request.__dataclass_fields__}


def _handler(emulator: Emulator) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else each answer waits 40 ms for the acknowledgement of its headers

        def log_message(self, format: str, *args: object) -> None:
            """Stay silent."""

        def _serve(self) -> None:
            url = urlsplit(self.path)
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            try:
                body = json.loads(raw) if raw else None
            except ValueError:
                return self._send(400, emulator.failure(400).body, {})
            query = {key: values[-1] for key, values in parse_qs(url.query, keep_blank_values=True).items()}
            request = Request(self.command, url.path, query, body, self.headers.get("Authorization", ""), {})
            creates = self.command in ("POST", "PUT") and emulator.creates.fullmatch(url.path)
            try:
                with emulator.lock:
                    status, answer = emulator.answer(request)
            except Refusal as e:
                return self._send(e.status, e.body, e.headers)
            if creates and emulator.take(Fault.CREATED_BUT_500):
                return self._send(500, emulator.failure(500).body, {})
            if creates and emulator.take(Fault.CREATED_BUT_RESET):
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
                self.close_connection = True
                return None
            return self._send(status, answer, {})

        def _send(self, status: int, body: Any, headers: Mapping[str, str]) -> None:
            text = isinstance(body, str)
            content = b"" if body is None else (body if text else json.dumps(body)).encode()
            if status < 300 and content and emulator.take(Fault.TRUNCATED_JSON):
                content = content[: len(content) // 2]
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "text/plain" if text else "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    return Handler
