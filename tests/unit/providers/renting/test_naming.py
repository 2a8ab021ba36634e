"""Names find machines again."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from providers.base import Owner
from providers.renting.naming import MAX_LENGTH, machine_name

OWNERS = st.builds(
    Owner, st.text(max_size=80), st.text(max_size=80), st.text(max_size=10), st.text(max_size=80), st.integers(1, 99)
)


@given(OWNERS)
def test_a_name_fits_every_cloud(owner: Owner) -> None:
    assert re.fullmatch(rf"[a-z0-9-]{{9,{MAX_LENGTH}}}", machine_name(owner).lstrip("-") or "x" * 9)
    assert len(machine_name(owner)) <= MAX_LENGTH


@given(OWNERS, OWNERS)
def test_different_marks_give_different_names(a: Owner, b: Owner) -> None:
    assert (machine_name(a) == machine_name(b)) == (a == b)


def test_a_name_is_readable_and_stable() -> None:
    name = machine_name(Owner("crossover", "prod", "inference", "a", 2))
    assert name.startswith("crossover-prod-a-g2-")
    assert name == machine_name(Owner("crossover", "prod", "inference", "a", 2))
