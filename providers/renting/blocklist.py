"""What was refused a moment ago is not asked for again, process-wide: a SKU in a region, or a whole cloud. It expires.

Nodes of one fleet are rented at the same time. Without this each of them would climb through the same refusals, and
each launch that cannot succeed costs one of the few that a vendor's rate limit allows.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from providers.base import Candidate
from providers.errors import CloudError, NoCapacity, QuotaExceeded

CAPACITY_S = 120.0
"""Capacity comes and goes within minutes; a run that lasts longer asks again."""
QUOTA_S = 3600.0
"""An account's limit stays until a person raises it."""


@dataclass(slots=True)
class Blocklist:
    """Thread-safe. `clock` is seconds."""

    clock: Callable[[], float] = time.monotonic
    _until: dict[tuple[str, ...], tuple[float, str]] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def add(self, candidate: Candidate, refusal: CloudError) -> None:
        """Blocks the SKU in its region on NoCapacity, the whole cloud on QuotaExceeded; other errors block nothing."""
        scope: tuple[str, ...]
        match refusal:
            case NoCapacity():
                scope, seconds = (candidate.cloud, candidate.region, candidate.sku), CAPACITY_S
            case QuotaExceeded():
                scope, seconds = (candidate.cloud,), QUOTA_S
            case _:
                return
        with self._guard:
            self._until[scope] = (self.clock() + seconds, str(refusal))

    def reason(self, candidate: Candidate) -> str | None:
        """Why the candidate is not to be tried now, in the words of the refusal; None if it may be."""
        whole = (candidate.cloud, candidate.region, candidate.sku)
        with self._guard:
            for length in range(1, len(whole) + 1):
                until, why = self._until.get(whole[:length], (float("-inf"), ""))
                if self.clock() < until:
                    return why
        return None
