"""Requests over HTTP: redirects that keep a token to its own host, repetitions that end, answers read in pieces."""

from __future__ import annotations

import email.utils
import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import IO, Any, TypeVar
from urllib.parse import urlsplit

from ..told import Refused

PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses after which the same request may succeed."""
LONGEST_PAUSE_S = 30.0
LONGEST_RETRY_AFTER_S = 300.0
IDLE_FAILURES = 5
"""How often in a row a request may fail without a byte."""
MOST_FAILURES = 100
"""And how often in all, however many bytes came between."""

Answered = TypeVar("Answered")


_OPENING = ("authorization", "x-amz-security-token", "x-aws-ec2-metadata-token")
"""Headers that open the host that is asked, and no other's to see."""


class HttpRefusal(Exception):
    """The server said no: a status from 400 on."""

    def __init__(self, url: str, status: int, headers: Message, body: str) -> None:
        super().__init__(f"{_shown(url)} answered {status}{f': {body[:200]}' if body else ''}")
        self.status = status
        self.body = body
        self.code = headers.get("X-Error-Code") or ""
        """The hub's own word for what is wrong."""
        self.words = headers.get("X-Error-Message") or ""
        self.retry_after_s = _seconds(headers.get("Retry-After"))


class Cut(Exception):
    """No answer, or one that broke off."""


def _seconds(value: str | None) -> float | None:
    """Of a Retry-After: seconds or a date."""
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError):
        return None


def _shown(url: str) -> str:
    """Without its query, which may be signed."""
    return url.partition("?")[0]


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows them without what opens the first host, and never from https to http."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        made = super().redirect_request(req, fp, code, msg, headers, newurl)
        if made is None:
            return None
        before, after = urlsplit(req.full_url), urlsplit(newurl)
        if before.scheme == "https" and after.scheme != "https":
            raise Refused("source", f"{_shown(req.full_url)} leads to {_shown(newurl)}, which is not https")
        if before.netloc != after.netloc:
            for name in _OPENING:
                made.remove_header(name.capitalize())  # as urllib.request keeps them
        return made


@dataclass
class Web:
    """Requests to one source. Each wait ends after `timeout_s` without a byte."""

    timeout_s: float
    _opener: urllib.request.OpenerDirector = field(init=False)

    def __post_init__(self) -> None:
        self._opener = urllib.request.build_opener(_Redirects)

    def open(self, url: str, headers: Mapping[str, str], method: str = "GET") -> http.client.HTTPResponse:
        """The answer, to be read and closed. Raises HttpRefusal, Cut."""
        request = urllib.request.Request(url, headers={"User-Agent": "crossover", **headers}, method=method)
        try:
            answer: http.client.HTTPResponse = self._opener.open(request, timeout=self.timeout_s)
        except urllib.error.HTTPError as e:
            with e:
                raise HttpRefusal(url, e.code, e.headers, _body(e)) from None
        except (OSError, http.client.HTTPException) as e:
            reason = getattr(e, "reason", e)
            raise Cut(f"{_shown(url)}: {reason or type(reason).__name__}") from e
        return answer

    def read(self, url: str, headers: Mapping[str, str], method: str = "GET") -> bytes:
        """All of the answer. Raises HttpRefusal, Cut."""
        try:
            with self.open(url, headers, method) as answer:
                return answer.read()
        except (OSError, http.client.HTTPException) as e:
            raise Cut(f"{_shown(url)}: {str(e) or type(e).__name__}") from e

    def json(self, url: str, headers: Mapping[str, str]) -> Any:
        """The answer as JSON. Raises HttpRefusal, Cut, Refused."""
        try:
            return json.loads(self.read(url, headers))
        except (ValueError, RecursionError) as e:
            raise Refused("source", f"{_shown(url)} does not answer JSON: is it what serving.weights means?") from e


def rest_of(start: int) -> dict[str, str]:
    """The header that asks for a file from that byte on."""
    return {"Range": f"bytes={start}-"} if start else {}


def _body(answer: urllib.error.HTTPError) -> str:
    try:
        return answer.read(2000).decode(errors="replace").strip()
    except (OSError, http.client.HTTPException):
        return ""


@dataclass
class Patience:
    """Counts failures of one request, and pauses between them."""

    pause_s: float
    check: Callable[[], None]
    """Raises where it must not go on."""
    idle: int = 0
    failures: int = 0

    def failed(self, e: Exception, *, progressed: bool = False) -> None:
        """Waits before the next try. Raises Refused once there were too many."""
        self.idle = 1 if progressed else self.idle + 1
        self.failures += 1
        if self.idle > IDLE_FAILURES or self.failures > MOST_FAILURES:
            kind = "network" if isinstance(e, Cut) else "busy"
            advice = "does this machine have a way there (DNS, a proxy, ca-certificates)?" if kind == "network" else ""
            raise Refused(kind, f"{e} ({self.failures} times in all); {advice or 'try again later'}") from e
        asked = e.retry_after_s if isinstance(e, HttpRefusal) else None
        backoff = min(LONGEST_PAUSE_S, self.pause_s * 2 ** (self.idle - 1))
        self._wait(backoff if asked is None else min(asked, LONGEST_RETRY_AFTER_S))

    def _wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.check()
            time.sleep(min(0.25, left))


def patiently(ask: Callable[[], Answered], patience: Patience) -> Answered:
    """What `ask` returns; it is asked again after what may pass. Raises HttpRefusal for what does not, Refused."""
    while True:
        patience.check()
        try:
            return ask()
        except Cut as e:
            patience.failed(e)
        except HttpRefusal as e:
            if e.status not in PASSING:
                raise
            patience.failed(e)
