"""A strict stand-in for the Hugging Face hub on loopback: repositories in memory, gates, and faults on demand.

Answers have the fields, statuses and headers that huggingface_hub 2.4.0 reads (hf_api.py, utils/_http.py); that client
was run against this server once by hand (docs/what-was-run.md). Large files are redirected to another host, which takes
no token: S3 would refuse the request.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, unquote, urlsplit

from tests.support.background import in_background

COMMIT = "6f6073b423013f6a7d4d9f39144961bfbfbc386b"
LARGE = (".safetensors", ".pth", ".bin")
"""What the hub keeps in LFS."""


@dataclass(frozen=True)
class Fault:
    """Used up by the next request for a file's bytes that it fits."""

    kind: str
    """cut, reset, stall, slow, wrong, 429, 500, whole (no ranges)."""
    after: int = 0
    """Bytes that are sent before."""
    retry_after_s: float | None = None


@dataclass
class Repository:
    """One model."""

    files: dict[str, bytes] = field(repr=False)
    commits: dict[str, str] = field(default_factory=lambda: {"main": COMMIT})
    """Branch or tag → commit."""
    gated: bool = False
    private: bool = False


@dataclass
class LocalHub:
    """The server's state, and what was asked of it."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    tokens: dict[str, bool] = field(default_factory=dict)
    """Token → whether its account is on the lists of gated repositories, and sees private ones."""
    faults: list[Fault] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)
    """Requests by method and path."""
    sent: Counter[str] = field(default_factory=Counter)
    """Bytes of files by path."""
    leaked: list[str] = field(default_factory=list)
    """Requests to the other host that carried a token."""
    port: int = 0
    address: str = "127.0.0.1"
    elsewhere: str = "localhost"
    """The host to which requests for bytes are sent on."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def endpoint(self) -> str:
        return f"http://{self.address}:{self.port}"

    def fault(self, size: int) -> Fault | None:
        """The next one, for a file of which so many bytes are asked."""
        with self.lock:
            fits = self.faults and self.faults[0].after < size
            return self.faults.pop(0) if fits else None


def record(files: Mapping[str, bytes]) -> dict[str, dict[str, object]]:
    """What a record says of them."""
    return {path: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for path, data in files.items()}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: LocalHub

    def do_GET(self) -> None:
        there = urlsplit(self.path)
        self.hub.asked[f"{self.command} {there.path}"] += 1
        words = [unquote(word) for word in there.path.strip("/").split("/")]
        match words:
            case ["api", "models", org, name, "revision", revision]:
                if parse_qs(there.query).get("blobs") not in (["true"], ["True"]):
                    return self._refuse(400, "", "this stand-in lists with ?blobs=true alone")
                return self._list(f"{org}/{name}", revision)
            case ["api", "models", org, name, "auth-check"]:
                found = self._may_read(f"{org}/{name}")
                return None if found is None else self._json(200, {})
            case [org, name, "resolve", revision, *path]:
                return self._resolve(f"{org}/{name}", revision, "/".join(path))
            case ["cdn", digest]:
                return self._bytes_of(digest)
        return self._refuse(404, "", "no such route")

    do_HEAD = do_GET

    def _token(self) -> str | None:
        return self.headers.get("Authorization", "").removeprefix("Bearer ") or None

    def _repository(self, name: str) -> Repository | None:
        """None where it was refused."""
        token = self._token()
        if token is not None and token not in self.hub.tokens:
            self._refuse(401, "", "Invalid credentials in Authorization header")
            return None
        found = self.hub.repositories.get(name)
        if found is None or (found.private and not self.hub.tokens.get(token or "")):
            self._refuse(404 if token else 401, "RepoNotFound", "Repository not found")
            return None
        return found

    def _may_read(self, name: str) -> Repository | None:
        found, token = self._repository(name), self._token()
        if found is None or not found.gated or (token and self.hub.tokens[token]):
            return found
        self._refuse(403 if token else 401, "GatedRepo", f"Access to model {name} is restricted.")
        return None

    def _list(self, name: str, revision: str) -> None:
        found = self._repository(name)
        if found is None:
            return
        commit = found.commits.get(revision, revision if revision in found.commits.values() else None)
        if commit is None:
            self._refuse(404, "RevisionNotFound", "Invalid rev id")
            return
        self._json(200, {"id": name, "sha": commit, "siblings": [_sibling(*item) for item in found.files.items()]})

    def _resolve(self, name: str, revision: str, path: str) -> None:
        found = self._may_read(name)
        if found is None:
            return
        if revision not in (*found.commits, *found.commits.values()):
            self._refuse(404, "RevisionNotFound", "Invalid rev id")
            return
        if path not in found.files:
            self._refuse(404, "EntryNotFound", "Entry not found")
            return
        data = found.files[path]
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{_sibling(path, data)["blobId"]}"'}
        if not path.endswith(LARGE):
            self._send(path, data, headers)
            return
        digest = hashlib.sha256(data).hexdigest()
        self.send_response(302)
        for header, value in {**headers, "X-Linked-Size": str(len(data)), "X-Linked-Etag": f'"{digest}"'}.items():
            self.send_header(header, value)
        self.send_header("Location", f"http://{self.hub.elsewhere}:{self.hub.port}/cdn/{digest}?signature=hidden")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _bytes_of(self, digest: str) -> None:
        if self.headers.get("Authorization"):
            self.hub.leaked.append(self.path)
            return self._refuse(400, "", "Only one auth mechanism allowed")
        for repository in self.hub.repositories.values():
            for path, data in repository.files.items():
                if hashlib.sha256(data).hexdigest() == digest:
                    return self._send(path, data, {})
        return self._refuse(404, "", "no such blob")

    def _send(self, path: str, data: bytes, headers: Mapping[str, str]) -> None:
        asked = self.headers.get("Range", "")
        wanted = int(asked.removeprefix("bytes=").split("-")[0]) if asked.startswith("bytes=") else 0
        fault = self.hub.fault(len(data) - wanted) if self.command == "GET" else None
        if fault and fault.kind in ("429", "500"):
            after = {} if fault.retry_after_s is None else {"Retry-After": f"{fault.retry_after_s:g}"}
            self._refuse(int(fault.kind), "", "later", after)
            return
        ranged = bool(asked) and not (fault and fault.kind == "whole")
        start = wanted if ranged else 0
        self.send_response(206 if ranged else 200)
        for header, value in headers.items():
            self.send_header(header, value)
        if ranged:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        if self.command == "GET":
            self._body(path, data[start:], fault)

    def _body(self, path: str, rest: bytes, fault: Fault | None) -> None:
        kind = fault.kind if fault else ""
        sent = rest[: fault.after] if fault and kind in ("cut", "stall") else rest
        if kind == "wrong":
            sent = bytes([sent[0] ^ 1]) + sent[1:]
        pieces = [sent[i : i + 1] for i in range(len(sent))] if kind == "slow" else [sent]
        with suppress(OSError):
            for piece in pieces:
                self._piece(path, piece)
                if kind == "slow":
                    time.sleep(0.02)
            if kind == "stall":
                while self.connection.recv(1):  # until the client gives up
                    pass
        if kind in ("cut", "stall"):
            self.close_connection = True

    def _piece(self, path: str, piece: bytes) -> None:
        """Counted before it goes: a client that has the last one may be done, and its test look, before this thread
        runs again (1 of 100 runs here)."""
        self.hub.sent[path] += len(piece)
        try:
            self.wfile.write(piece)
        except OSError:
            self.hub.sent[path] -= len(piece)
            raise

    def _json(self, status: int, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def _refuse(self, status: int, code: str, words: str, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for header, value in {"X-Error-Code": code, "X-Error-Message": words, **(headers or {})}.items():
            if value:
                self.send_header(header, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""


def _sibling(path: str, data: bytes) -> dict[str, object]:
    digest = hashlib.sha256(data).hexdigest()
    if path.endswith(LARGE):
        lfs = {"sha256": digest, "size": len(data), "pointerSize": 134}
        return {"rfilename": path, "size": len(data), "blobId": hashlib.sha1(path.encode()).hexdigest(), "lfs": lfs}
    git = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    return {"rfilename": path, "size": len(data), "blobId": git}


@contextmanager
def local_hub(address: str = "127.0.0.1") -> Iterator[LocalHub]:
    """A running one, without a repository. Only on loopback it has two names."""
    hub = LocalHub(address=address)
    if address != "127.0.0.1":
        hub.elsewhere = address
    with in_background(type("Handler", (_Handler,), {"hub": hub}), address) as hub.port:
        yield hub
