"""`serving.weights`: where the nodes get a model's files, and what a bundle is told of it."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Protocol
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from images.bundle import Weights
from images.weights.records import record_of
from strict.fields import Flag, SecretName, Section, form

SECRET = "weights-key"
"""The secret on a node that opens the source of its weights."""
MOVING = "main"
"""The revision of a model for which none is named."""


def _endpoint(value: str) -> str:
    try:
        return _https(value)
    except ValueError as error:
        raise ValueError(f"{error}; an endpoint is https://host, with a port and a path where it has them") from None


def _https(value: str) -> str:
    if not re.fullmatch(r"[!-~]*", value) or "#" in value or urlsplit(value).port == 0:  # a port is read, or refused
        raise ValueError(f"{value!r} is no address such as https://hub.example: spaces, # and port 0 are none's")
    there = urlsplit(value)
    here = there.scheme == "http" and there.hostname in ("127.0.0.1", "localhost", "::1")
    if (there.scheme != "https" and not here) or not there.hostname or "@" in there.netloc or there.query:
        raise ValueError(f"{value!r} is no https address: a token is sent there")
    return value.rstrip("/")


Endpoint = Annotated[str, AfterValidator(_endpoint)]


class _Fetched(Section):
    """What every source over a network has."""

    endpoint: Endpoint | None = None
    """Of a mirror, or of a service that speaks as the source does; None is the source's own."""
    stall_s: int = Field(120, ge=5, le=3600)
    """A download whose bytes do not grow for so long is begun anew."""
    deadline_s: int = Field(4 * 3600, ge=60, le=86_400)
    """How long the weights may take to be there; the install's own deadline does not count meanwhile."""


class HubWeights(_Fetched):
    """From the Hugging Face hub, or a mirror of it."""

    source: Literal["hf"] = "hf"
    token_secret: SecretName | None = None
    """Name in `apiKeys` of the token that may read the repository; a gated model has none without."""
    unverified: Flag = False
    """Takes files of a mirror that tells no hashes, where no record is pinned."""

    @property
    def secret(self) -> str | None:
        """Name in `apiKeys` of what opens it."""
        return self.token_secret

    def weights(self, model: str, revision: str) -> Weights:
        """What a bundle is told."""
        return Weights(
            "hf", model, model, revision, record_of(model, revision), SECRET if self.secret else "",
            self.endpoint or "", "", self.unverified, self.stall_s, self.deadline_s,
        )  # fmt: skip


class S3Weights(_Fetched):
    """From a bucket: one folder, with the files as the hub has them."""

    source: Literal["s3"]
    uri: Annotated[
        str,
        form(
            "s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9!_.*()=+-]+)*/?",
            "s3://bucket/folder, with no spaces or capital letters in the bucket's name",
        ),
    ]
    """`s3://bucket/folder`."""
    region: Annotated[str, form("[a-z0-9-]{2,32}", "the bucket's region, such as us-east-1")]
    credentials_secret: SecretName | None = None
    """Name in `apiKeys` of `ACCESS_KEY_ID:SECRET_ACCESS_KEY`, with `:SESSION_TOKEN` behind it where there is one; None
    is the machine's own role."""
    unverified: Flag = False
    """Takes files of which no record is pinned."""

    @property
    def secret(self) -> str | None:
        """Name in `apiKeys` of what opens it."""
        return self.credentials_secret

    def weights(self, model: str, revision: str) -> Weights:
        """What a bundle is told."""
        return Weights(
            "s3", self.uri.rstrip("/"), model, revision, record_of(model, revision), SECRET if self.secret else "",
            self.endpoint or "", self.region, self.unverified, self.stall_s, self.deadline_s,
        )  # fmt: skip


class PathWeights(Section):
    """A folder that is on the machine already: a volume, a file system over the network."""

    source: Literal["path"]
    path: Annotated[
        str,
        form("(/[A-Za-z0-9._+-]+)+/?", "an absolute path, such as /mnt/llama, of letters, digits and . _ + -"),
    ]
    """Absolute."""
    unverified: Flag = False
    """Takes files of which no record is pinned."""
    deadline_s: int = Field(4 * 3600, ge=60, le=86_400)
    """How long reading them all may take, the first time."""

    @property
    def secret(self) -> str | None:
        """Nothing has to be opened."""
        return None

    def weights(self, model: str, revision: str) -> Weights:
        """What a bundle is told."""
        record = record_of(model, revision)
        path = self.path.rstrip("/")
        return Weights(
            "path", path, model, revision, record, unverified=self.unverified, deadline_s=self.deadline_s
        )  # fmt: skip


WeightsSettings = Annotated[HubWeights | S3Weights | PathWeights, Field(discriminator="source")]


class ServedWeights(Protocol):
    """What of `serving` says which files they are."""

    @property
    def model(self) -> str: ...

    @property
    def revision(self) -> str | None: ...

    @property
    def weights(self) -> HubWeights | S3Weights | PathWeights | None: ...


def weights_of(serving: ServedWeights, *, needed: bool) -> Weights | None:
    """What a node's bundle is told; None where nothing is fetched. `needed`: the engine reads them, so that a model
    for which nothing is said comes from the hub."""
    source = serving.weights or (HubWeights() if needed else None)
    return None if source is None else source.weights(serving.model, serving.revision or MOVING)


def remarks(weights: Weights, token_secret: str | None, *, gated: bool) -> list[str]:
    """What a preview should say of them: a line each."""
    lines = []
    if gated and weights.kind == "hf" and not token_secret:
        lines.append(
            f"{weights.model} is gated, and serving.weights.tokenSecret names no token: the hub will refuse it. Accept "
            f"its terms at {weights.endpoint or 'https://huggingface.co'}/{weights.model}, then set "
            "crossover:apiKeys.<name> (--secret) and serving.weights: {source: hf, tokenSecret: <name>}"
        )
    moving = not re.fullmatch("[0-9a-f]{40}", weights.revision)
    if moving and weights.kind == "hf":
        lines.append(
            f"serving.revision names no commit ({weights.revision} may move): each node takes what {weights.model} is "
            "when it first fetches it. Name the commit, and `crossover weights record` what is in it"
        )
    elif weights.record is None:
        against = "the hub's own list" if weights.kind == "hf" else "nothing"
        commit, which = ("<commit>", ", for serving.revision") if moving else (weights.revision, "")
        lines.append(
            f"no record of {weights.model}@{weights.revision} is pinned: its files are verified against {against}. "
            f"`crossover weights record {weights.model}@{commit}` writes one{which}"
        )
    return lines


def refusal(weights: Weights) -> str:
    """Why an `up` must not use them; empty where it may."""
    if weights.kind == "hf" or weights.record is not None or weights.unverified:
        return ""
    return (
        f"nothing says what the files of {weights.model}@{weights.revision} in {weights.place} must be: name the "
        "commit in serving.revision and write its record (`crossover weights record`), or set "
        "serving.weights.unverified: true"
    )
