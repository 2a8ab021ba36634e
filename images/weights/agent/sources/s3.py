"""A bucket of S3, or of a service that speaks as it does: requests signed by AWS' Signature Version 4.

The folder holds the files as the hub has them. Who may read it is told by a secret, or by the machine's role.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote, urlencode, urlsplit
from xml.etree import ElementTree

from ..job import Job
from ..listing import Entry, Listing, chosen
from ..told import Refused
from .web import Cut, HttpRefusal, Patience, Web, patiently, rest_of

_EMPTY = hashlib.sha256(b"").hexdigest()
_ROLE = "latest/meta-data/iam/security-credentials/"
_FRESH_S = 300.0
"""A role's credentials are asked for again when they end sooner than this."""


@dataclass(frozen=True)
class S3Key:
    """What requests are signed with."""

    key_id: str
    secret: str
    token: str = ""
    ends_at: float = float("inf")
    """Unix time."""


def signed(access: S3Key, region: str, url: str, now: datetime, extra: Mapping[str, str]) -> dict[str, str]:
    """The headers of a GET (AWS, "Create a signed AWS API request"). `url`'s path and query are encoded already, the
    query sorted."""
    there, stamp = urlsplit(url), now.strftime("%Y%m%dT%H%M%SZ")
    headers = {"host": there.netloc, "x-amz-content-sha256": _EMPTY, "x-amz-date": stamp}
    headers |= {name.lower(): value for name, value in extra.items()}
    headers |= {"x-amz-security-token": access.token} if access.token else {}
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    request = f"GET\n{there.path}\n{there.query}\n{lines}\n{names}\n{_EMPTY}"
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = f"AWS4{access.secret}".encode()
    for word in scope.split("/"):
        key = hmac.new(key, word.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    who = f"AWS4-HMAC-SHA256 Credential={access.key_id}/{scope},SignedHeaders={names},Signature={signature}"
    return {**{k: v for k, v in headers.items() if k != "host"}, "Authorization": who}


@dataclass
class S3Folder:
    """One folder of one bucket, by path: a bucket's name with dots fits no certificate as a host."""

    job: Job
    web: Web = field(init=False)
    prefix: str = field(init=False)
    base: str = field(init=False)
    _access: S3Key | None = None

    def __post_init__(self) -> None:
        self.web = Web(self.job.stall_s)
        bucket, _, folder = self.job.place.removeprefix("s3://").partition("/")
        self.prefix = f"{folder.strip('/')}/" if folder.strip("/") else ""
        self.base = f"{self.job.endpoint or f'https://s3.{self.job.region}.amazonaws.com'}/{bucket}"

    def listing(self) -> Listing:
        """The folder's files that an engine reads; of each the size alone is known. Raises Refused."""
        entries: list[Entry] = []
        following = ""
        while True:
            page = self._page(following)
            space = page.tag.partition("}")[0] + "}" if page.tag.startswith("{") else ""
            for item in page.iter(f"{space}Contents"):
                path = (item.findtext(f"{space}Key") or "").removeprefix(self.prefix)
                if path and not path.endswith("/"):
                    entries.append(Entry(path, int(item.findtext(f"{space}Size") or 0)))
            following = page.findtext(f"{space}NextContinuationToken") or ""
            if not following:
                break
        if not entries:
            raise Refused("missing", f"{self.job.place} holds no file: see serving.weights.uri")
        return Listing(self.job.revision, chosen(entries))

    def check(self) -> None:
        """Whether the folder may be read. Raises Refused."""
        self._page("", most=1)

    def open(self, entry: Entry, revision: str, start: int) -> http.client.HTTPResponse:
        """The file from that byte on. Raises HttpRefusal, Cut, Refused."""
        url = f"{self.base}/{quote(self.prefix + entry.path)}"
        return self.web.open(url, self._signed(url, rest_of(start)))

    def refusal(self, e: HttpRefusal) -> Refused:
        """What an answer means, and what to do."""
        word = e.body.partition("<Code>")[2].partition("</Code>")[0]
        where = f"{self.job.place} ({self.job.region})"
        if word in ("NoSuchBucket", "NoSuchKey") or e.status == 404:
            return Refused("missing", f"{where}: {word or 'not there'}: see serving.weights.uri")
        if e.status in (301, 307) or word in ("AuthorizationHeaderMalformed", "PermanentRedirect"):
            return Refused("source", f"{where}: the bucket is in another region: see serving.weights.region")
        if word in ("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"):
            return Refused("token", f"{where}: {word}: the credentials are wrong or ended")
        if e.status in (401, 403):
            who = "the credentials" if self.job.secret_file else "the machine's role"
            return Refused(
                "gate", f"{where}: {word or e.status}: {who} must allow s3:ListBucket and s3:GetObject there"
            )
        return Refused("source", str(e))

    def _page(self, following: str, most: int = 1000) -> ElementTree.Element:
        query = {"list-type": "2", "max-keys": str(most), "prefix": self.prefix}
        query |= {"continuation-token": following} if following else {}
        url = f"{self.base}?{urlencode(sorted(query.items()), quote_via=quote, safe='')}"
        patience = Patience(self.job.pause_s, self.job.check_time)
        try:
            return ElementTree.fromstring(patiently(lambda: self.web.read(url, self._signed(url, {})), patience))
        except HttpRefusal as e:
            raise self.refusal(e) from e
        except ElementTree.ParseError as e:
            raise Refused("source", f"{self.base} does not answer as S3 does: see serving.weights.endpoint") from e

    def _signed(self, url: str, extra: Mapping[str, str]) -> dict[str, str]:
        if self._access is None or self._access.ends_at - time.time() < _FRESH_S:
            self._access = self._given() if self.job.secret_file else self._of_role()
        return {**signed(self._access, self.job.region, url, datetime.now(UTC), extra), **extra}

    def _given(self) -> S3Key:
        words = self.job.secret.split(":")
        if len(words) not in (2, 3) or not all(words):
            raise Refused("token", "the credentials are no ACCESS_KEY_ID:SECRET_ACCESS_KEY[:SESSION_TOKEN]")
        return S3Key(words[0], words[1], "".join(words[2:]))

    def _of_role(self) -> S3Key:
        """By the second version of the metadata service, which asks for a token first."""
        web, base = Web(5), self.job.role_endpoint
        try:
            asked = {"X-aws-ec2-metadata-token-ttl-seconds": "300"}
            token = web.read(f"{base}/latest/api/token", asked, "PUT").decode()
            proof = {"X-aws-ec2-metadata-token": token}
            name = web.read(f"{base}/{_ROLE}", proof).decode().split()[0]
            told = json.loads(web.read(f"{base}/{_ROLE}{quote(name)}", proof))
            ends = datetime.fromisoformat(told["Expiration"].replace("Z", "+00:00")).timestamp()
            return S3Key(told["AccessKeyId"], told["SecretAccessKey"], told["Token"], ends)
        except (HttpRefusal, Cut, LookupError, ValueError) as e:
            raise Refused(
                "token",
                f"{self.job.place}: this machine has no role that can be asked for ({e}). Give it an instance profile "
                "that may read the bucket, or name a key: serving.weights.credentialsSecret",
            ) from e
