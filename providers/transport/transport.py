"""One HTTP client for the vendors' APIs: rates kept process-wide, reads repeated, creates never."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import httpx

from providers.errors import Ambiguous, CloudError, RateLimited, Unavailable
from providers.transport.patience import retry_after_s

TIMEOUT_S = 30.0
"""For one request: connecting, sending and each pause while reading."""
PATIENCE_S = 90.0
"""For one call with all its repetitions."""
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 20.0


@dataclass(slots=True)
class Pace:
    """At most `burst` requests in any `burst` × `interval_s` seconds, over all threads that share this object. One at
    a time unless a vendor counts in windows: 60 requests a minute are Pace(1.0, burst=60)."""

    interval_s: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    burst: int = 1
    _sent: deque[float] = field(default_factory=deque)
    """When the last `burst` requests were sent or are to be."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wait(self) -> None:
        """Returns when the caller may send; callers are served in the order in which they came."""
        with self._lock:
            now = self.clock()
            at = now
            if len(self._sent) == self.burst:
                at = max(now, self._sent.popleft() + self.burst * self.interval_s)
            self._sent.append(at)
        if at > now:
            self.sleep(at - now)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, parsed. `body` is None where the answer was empty."""

    status: int
    body: Any
    retry_after_s: float | None = None


Classify = Callable[[Answer, str], CloudError]
"""The vendor's error answer (status 400 and above) and "METHOD /path" → our error, by the vendor's exact code."""


@dataclass(slots=True)
class Transport:
    """Calls JSON APIs below `base_url`. `cloud` is named in every message; no message holds a header or a body sent."""

    cloud: str
    base_url: str
    headers: Mapping[str, str] = field(repr=False)
    """They hold the API key."""
    classify: Classify
    paces: tuple[Pace, ...] = ()
    """Every request waits for all of these."""
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    patience_s: float = PATIENCE_S
    timeout_s: float = TIMEOUT_S
    _client: httpx.Client | None = None
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def read(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        query: Mapping[str, Any] | None = None,
        paces: tuple[Pace, ...] = (),
    ) -> Any:
        """A request that may be sent twice without harm (GET, DELETE, a search): repeated while the cloud is
        unavailable or asks for patience. Returns the body. Raises what `classify` says, RateLimited, Unavailable."""
        end = self.clock() + self.patience_s
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                return self._once(method, path, json, query, paces)
            except (Unavailable, RateLimited) as e:
                asked = e.retry_after_s if isinstance(e, RateLimited) else None
                wait_s = asked or pause_s
                if self.clock() + wait_s > end:
                    raise
                self.sleep(wait_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def create(self, method: str, path: str, *, json: Any, paces: tuple[Pace, ...] = ()) -> Any:
        """A request that must not be sent twice. A refusal for haste created nothing, so it alone is repeated.

        Raises Ambiguous where it may have taken effect: the connection broke after sending, the answer was a 5xx or
        could not be read, or reading it met a bug of ours. Unavailable means that nothing was sent.
        """
        end = self.clock() + self.patience_s
        while True:
            try:
                return self._once(method, path, json, None, paces, ambiguous=True)
            except RateLimited as e:
                wait_s = e.retry_after_s or LONGEST_PAUSE_S
                if self.clock() + wait_s > end:
                    raise
                self.sleep(wait_s)
            except CloudError:
                raise
            except Exception as e:
                raise Ambiguous(f"{self.cloud}'s answer to {method} {path} met a bug: {type(e).__name__}: {e}") from e

    def _once(
        self,
        method: str,
        path: str,
        json: Any,
        query: Mapping[str, Any] | None,
        paces: tuple[Pace, ...],
        ambiguous: bool = False,
    ) -> Any:
        what = f"{method} {path}"
        for pace in (*paces, *self.paces):  # the longest wait first: what follows it is still spaced
            pace.wait()
        try:
            response = self._http().request(method, path, json=json, params=query)
        except (httpx.ConnectError, httpx.ConnectTimeout) as e:
            raise Unavailable(f"{self.cloud} cannot be reached ({what}): {e}") from e
        except httpx.HTTPError as e:
            self._lost(f"{self.cloud} did not answer {what}: {str(e) or type(e).__name__}", ambiguous, e)
        if response.status_code == 429:
            raise RateLimited(f"{self.cloud} asks for patience ({what}: 429)", retry_after_s(response.headers))
        if response.status_code >= 500:
            self._lost(f"{self.cloud} failed at {what}: {response.status_code} {response.text[:200]}", ambiguous)
        try:
            body = response.json() if response.content else None
        except ValueError as e:
            if response.status_code < 400:
                self._lost(f"{self.cloud} answered {what} with what is no JSON: {response.text[:80]!r}", ambiguous, e)
            body = response.text
        if response.status_code >= 400:
            raise self.classify(Answer(response.status_code, body, retry_after_s(response.headers)), what)
        return body

    def _lost(self, message: str, ambiguous: bool, cause: Exception | None = None) -> NoReturn:
        raise (Ambiguous if ambiguous else Unavailable)(message) from cause

    def _http(self) -> httpx.Client:
        with self._guard:
            if self._client is None:
                self._client = httpx.Client(base_url=self.base_url, headers=dict(self.headers), timeout=self.timeout_s)
            return self._client
