"""What can go wrong at a cloud, mapped once from the vendor's exact code. What can go wrong with a machine, on the way
to it or in a wait stands in `images.remote.errors`.

`NoCapacity` and `QuotaExceeded` let the ladder try its next candidate; everything else ends the attempt.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from images.remote.errors import RemoteError


class CloudError(RemoteError):
    """Base of all. The message says what, where and what to do; it never holds a secret."""


class NoCapacity(CloudError):
    """The cloud has no such machine free here and now. The next candidate is tried."""


class QuotaExceeded(CloudError):
    """The account may not rent more. The next candidate at another cloud is tried (`renting/blocklist.py`)."""


class Unauthorized(CloudError):
    """The credentials are missing, wrong, or lack a right."""


class RateLimited(CloudError):
    """Still refused after the transport's own waiting."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class InvalidRequest(CloudError):
    """The request can never succeed as it is: an unknown region or SKU, a malformed name."""


class SomebodyElses(InvalidRequest):
    """A machine of this stack's name is another stack's, by its identity. Nothing is done to it."""


class NotFound(CloudError):
    """An authoritative answer that the thing does not exist. Unreachable is never NotFound. Of a machine it is no
    evidence by itself: the vendor may not show it yet, or not now."""


class Gone(NotFound):
    """The vendor itself says that the machine has ended: the one absence that is evidence at once."""


class Missing(CloudError):
    """Neither a look nor the listing has shown a machine for as long as its cloud may hide one."""


class Unavailable(CloudError):
    """The cloud did not answer, or not in a way that can be trusted. State is kept."""


class Ambiguous(CloudError):
    """A request that creates may or may not have taken effect: look it up before trying again."""


class Incomplete(CloudError):
    """A part of the cloud did not answer. What the rest said is not lost."""

    def __init__(self, message: str, found: Sequence[Any]) -> None:
        super().__init__(message)
        self.found = tuple(found)


class TerminateFailed(CloudError):
    """A machine could not be confirmed gone. Carries what a person needs to end it by hand."""
