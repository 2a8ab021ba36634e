"""The Hugging Face hub, or a mirror: one request lists a revision, one more per file fetches it.

As huggingface_hub 2.4.0 asks it (hf_api.py: model_info with files_metadata, auth_check; file_download.py: hf_hub_url),
and with its reading of what the hub answers (utils/_http.py: hf_raise_for_status).
"""

from __future__ import annotations

import http.client
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from ..job import Job
from ..listing import Entry, Listing, chosen
from ..told import Refused
from .web import HttpRefusal, Patience, Web, patiently, rest_of

ENDPOINT = "https://huggingface.co"
_BAD_TOKEN = "Invalid credentials in Authorization header"


@dataclass
class Hub:
    """One repository."""

    job: Job
    web: Web = field(init=False)
    headers: dict[str, str] = field(init=False)
    endpoint: str = field(init=False)

    def __post_init__(self) -> None:
        self.web = Web(self.job.stall_s)
        self.endpoint = self.job.endpoint or ENDPOINT
        token = self.job.secret
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def listing(self) -> Listing:
        """The revision's commit, and its files that an engine reads. Raises Refused."""
        revision = quote(self.job.revision, safe="")
        url = f"{self.endpoint}/api/models/{self.job.place}/revision/{revision}?blobs=true"
        try:
            found = patiently(lambda: self.web.json(url, self.headers), self._patience())
            entries = [_entry(sibling) for sibling in found["siblings"]]
            return Listing(str(found["sha"]), chosen(entries))
        except HttpRefusal as e:
            raise self.refusal(e) from e
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as e:
            raise Refused("source", f"{self.endpoint} lists {self.job.place} as no hub does: {e!r}") from e

    def check(self) -> None:
        """Whether the files may be read. Raises Refused; a mirror that does not know the question lets it pass."""
        url = f"{self.endpoint}/api/models/{self.job.place}/auth-check"
        try:
            patiently(lambda: self.web.read(url, self.headers), self._patience())
        except HttpRefusal as e:
            if e.status != 404 or e.code:
                raise self.refusal(e) from e

    def open(self, entry: Entry, revision: str, start: int) -> http.client.HTTPResponse:
        """The file from that byte on. Raises HttpRefusal, Cut."""
        url = f"{self.endpoint}/{self.job.place}/resolve/{quote(revision, safe='')}/{quote(entry.path)}"
        return self.web.open(url, {**self.headers, "Accept-Encoding": "identity", **rest_of(start)})

    def refusal(self, e: HttpRefusal) -> Refused:
        """What an answer means, and what to do."""
        page, name = f"{self.endpoint}/{self.job.place}", self.job.place
        if e.code == "GatedRepo":
            if not self.headers:
                return Refused(
                    "token",
                    f"{name} is gated, and no token was sent. Accept its terms at {page}, make a token that may read "
                    "it, and name it: serving.weights.tokenSecret, crossover:apiKeys.<that name>",
                )
            return Refused(
                "gate",
                f"{name} is gated, and the token's account is not on its list. Ask for access at {page} with that "
                "account; a fine-grained token also needs the right to read public gated repositories",
            )
        if e.words == _BAD_TOKEN or (e.status == 401 and self.headers and e.code != "RepoNotFound"):
            return Refused("token", f"{self.endpoint} refuses the token (401): it is wrong or ended. Set another one")
        if e.code == "RevisionNotFound":
            return Refused("missing", f"{name} has no revision {self.job.revision!r}: see serving.revision")
        if e.code == "RepoNotFound" or e.status in (401, 404):
            private = "" if self.headers else ", or it is private and no token was sent (serving.weights.tokenSecret)"
            return Refused("missing", f"{page} is not there ({e.status}): see serving.model{private}")
        if e.status == 403:
            return Refused(
                "gate", f"{page} is forbidden (403) to this token: {e.words or e.body[:200]}. See its rights"
            )
        return Refused("source", str(e))

    def _patience(self) -> Patience:
        return Patience(self.job.pause_s, self.job.check_time)


def _entry(sibling: dict[str, Any]) -> Entry:
    """Without a hash where a mirror tells none."""
    lfs = sibling.get("lfs")
    if lfs:
        return Entry(sibling["rfilename"], int(lfs["size"]), sha256=str(lfs.get("sha256") or ""))
    return Entry(sibling["rfilename"], int(sibling["size"]), git=str(sibling.get("blobId") or ""))
