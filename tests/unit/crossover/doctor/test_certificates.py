"""What doctor says of the end of certificates."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from providers.certificates import ends_at
from providers.preflight import Grade
from scripts.crossover.doctor.certificates import certificates
from strict.names import CREDENTIALS
from tests.support.credentials import Made

CA = Made.of().ca
STATE: list[dict[str, Any]] = [{"type": "pulumi:pulumi:Stack"}, {"type": CREDENTIALS, "outputs": {"caCertificate": CA}}]


@pytest.mark.parametrize(
    ("left_days", "grade"), [(61, Grade.OK), (60, Grade.WARN), (15, Grade.WARN), (14, Grade.FAIL), (-1, Grade.FAIL)]
)
def test_the_end_is_told_60_and_14_days_before(left_days: int, grade: Grade) -> None:
    """Audit B, low: no alert or doctor check on expiry."""
    end = ends_at(CA)
    [check] = certificates(STATE, end - timedelta(days=left_days, minutes=1))
    assert check.level is grade
    assert str(end.date()) in check.detail
    assert bool(check.remedy) == (grade is not Grade.OK)


def test_a_stack_without_credentials_has_no_line() -> None:
    assert list(certificates(STATE[:1], ends_at(CA))) == []
    assert list(certificates([{"type": CREDENTIALS}], ends_at(CA))) == []
