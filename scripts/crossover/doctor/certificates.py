"""Whether the stack's certificates end soon."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from providers.certificates import ends_at
from providers.preflight import Check, Grade
from strict.names import CREDENTIALS

WARN_DAYS, FAIL_DAYS = 60, 14
"""As the alerts CertificatesEnd and CertificatesEndSoon."""
REMEDY = "renew them without an outage: docs/howto/rotate.md"


def certificates(resources: Sequence[Mapping[str, Any]], now: datetime) -> Iterator[Check]:
    """Of a stack's state; nothing where it has none. All certificates end with their CA at the latest."""
    for resource in resources:
        pem = (resource.get("outputs") or {}).get("caCertificate")
        if resource["type"] != CREDENTIALS or not isinstance(pem, str):
            continue
        end = ends_at(pem)
        days = (end.astimezone(UTC) - now).days
        detail = f"they end on {end.date()}, in {days} days" if days >= 0 else f"they ended on {end.date()}"
        grade = Grade.OK if days > WARN_DAYS else Grade.WARN if days > FAIL_DAYS else Grade.FAIL
        yield Check("certificates", grade, detail, "" if grade is Grade.OK else REMEDY)
