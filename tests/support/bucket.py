"""A strict stand-in for S3 on loopback and for a machine's metadata service. It checks each signature by botocore."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.support.background import in_background

BUCKET, REGION, KEY_ID, SECRET_KEY, TOKEN = "weights", "us-east-2", "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG", "session/+="
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


@dataclass
class LocalBucket:
    """Its objects by key, and what was asked."""

    objects: dict[str, bytes] = field(default_factory=dict, repr=False)
    page: int = 2
    """Objects in one answer of a listing."""
    cuts: list[int] = field(default_factory=list)
    """Bytes after which the next answers break off."""
    sent: Counter[str] = field(default_factory=Counter)
    refused: list[str] = field(default_factory=list)
    role: bool = True
    """Whether the machine has one."""
    port: int = 0

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    bucket: LocalBucket

    def do_PUT(self) -> None:
        if self.path == "/latest/api/token" and self.headers.get("X-aws-ec2-metadata-token-ttl-seconds"):
            self._answer(200, b"proof")
        else:
            self._answer(405, b"")

    def do_GET(self) -> None:
        there = urlsplit(self.path)
        if there.path.startswith("/latest/"):
            self._role(there.path)
        elif (word := self._wrong()) is not None:
            self.bucket.refused.append(word)
            self._answer(403, f"<Error><Code>{word}</Code></Error>".encode())
        elif not there.path.startswith(f"/{BUCKET}"):
            self._answer(404, b"<Error><Code>NoSuchBucket</Code></Error>")
        elif there.path == f"/{BUCKET}":
            self._list(parse_qs(there.query))
        else:
            self._object(unquote(there.path).removeprefix(f"/{BUCKET}/"))

    def _role(self, path: str) -> None:
        if self.headers.get("X-aws-ec2-metadata-token") != "proof":
            self._answer(401, b"")
        elif not self.bucket.role:
            self._answer(404, b"")
        elif path.endswith("/security-credentials/"):
            self._answer(200, b"node-role\n")
        else:
            told = f'"AccessKeyId":"{KEY_ID}","SecretAccessKey":"{SECRET_KEY}","Token":"{TOKEN}"'
            self._answer(200, f'{{{told},"Expiration":"2126-11-29T21:00:00Z"}}'.encode())

    def _wrong(self) -> str | None:
        """S3's word for what is wrong with the signature."""
        given = self.headers.get("Authorization", "")
        if f"Credential={KEY_ID}/" not in given:
            return "InvalidAccessKeyId" if given else "AccessDenied"
        names = given.partition("SignedHeaders=")[2].partition(",")[0].split(";")
        missing = {"host", "x-amz-date", "x-amz-content-sha256"} - set(names)
        if missing or ("x-amz-security-token" in self.headers) != ("x-amz-security-token" in names):
            return "AccessDenied"
        request = AWSRequest("GET", f"{self.bucket.endpoint}{self.path}", {n: self.headers[n] for n in names})
        request.context["timestamp"] = self.headers["x-amz-date"]
        signer = S3SigV4Auth(Credentials(KEY_ID, SECRET_KEY, self.headers.get("x-amz-security-token")), "s3", REGION)
        text = signer.string_to_sign(request, signer.canonical_request(request))
        return None if given.endswith(f"Signature={signer.signature(text, request)}") else "SignatureDoesNotMatch"

    def _list(self, query: dict[str, list[str]]) -> None:
        assert query["list-type"] == ["2"]
        prefix, after = query.get("prefix", [""])[0], query.get("continuation-token", [""])[0]
        keys = sorted(key for key in self.bucket.objects if key.startswith(prefix) and key > after)
        shown, rest = keys[: self.bucket.page], keys[self.bucket.page :]
        items = "".join(
            f"<Contents><Key>{escape(k)}</Key><Size>{len(self.bucket.objects[k])}</Size></Contents>" for k in shown
        )
        more = f"<NextContinuationToken>{escape(shown[-1])}</NextContinuationToken>" if rest else ""
        self._answer(200, f'<ListBucketResult xmlns="{NAMESPACE}">{items}{more}</ListBucketResult>'.encode())

    def _object(self, key: str) -> None:
        if key not in self.bucket.objects:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
            return
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        rest = self.bucket.objects[key][start:]
        cut = self.bucket.cuts.pop(0) if self.bucket.cuts and self.bucket.cuts[0] < len(rest) else len(rest)
        self.bucket.sent[key] += cut
        self.send_response(206 if "Range" in self.headers else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[:cut])
        self.close_connection = cut < len(rest)

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""


@contextmanager
def local_bucket() -> Iterator[LocalBucket]:
    """A running one, empty."""
    bucket = LocalBucket()
    with in_background(type("Handler", (_Handler,), {"bucket": bucket})) as bucket.port:
        yield bucket
