"""Names find machines again."""

from __future__ import annotations

import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from providers.base import Owner
from providers.renting.naming import MAX_LENGTH, former_names, machine_name, mark, owner_of

IDENTITIES = st.text("0123456789abcdef", max_size=16)
OWNERS = st.builds(
    Owner, st.text(max_size=80), st.text(max_size=80), st.text(max_size=10), st.text(max_size=80), st.integers(1, 99),
    IDENTITIES,
)  # fmt: skip
WORDS = st.text("abcxyz019-_.", min_size=1, max_size=9)
OWNERS_OF_WORDS = st.builds(Owner, WORDS, WORDS, WORDS, WORDS, st.integers(1, 99), IDENTITIES)


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


@given(OWNERS_OF_WORDS)
def test_a_mark_tells_all_that_was_put_into_it(owner: Owner) -> None:
    assert owner_of(mark(owner)) == owner


def test_a_machine_of_before_identities_keeps_its_name_and_its_mark() -> None:
    """Audit 4: as the code of a310070 made them, so that it is known again."""
    owner = Owner("p", "s", "inference", "a", 1)
    assert machine_name(owner) == "p-s-a-g1-cc656b65"
    assert mark(owner) == "crossover:p:s:inference:a:1"
    assert mark(Owner("p", "s", "inference", "a", 1, "1a2b")) == "crossover:p:s:inference:a:1:1a2b"


def test_stacks_of_one_name_are_told_apart_by_identity_and_by_name_where_one_has_none() -> None:
    """Audit 4: a mark of before identities tells a name alone."""
    mine, theirs, before = (Owner("p", "s", "inference", "a", 1, known) for known in ("1a", "2b", ""))
    assert mine.same_name(theirs)
    assert not mine.same_stack(theirs)
    assert mine.same_stack(before)
    assert before.same_stack(theirs)
    assert not mine.same_fleet(Owner("p", "s", "gateway", "a", 1, "1a"))
    assert not mine.same_name(Owner("p", "t", "inference", "a", 1, "1a"))


def test_a_nodes_machines_of_earlier_generations_are_known_by_name() -> None:
    """Audit 3: a journal has names alone; also those of before there were identities."""
    owner = Owner("p", "s", "inference", "a", 3, "1a2b")
    earlier = [replace(owner, generation=g, stack_id=whose) for g in (1, 2) for whose in ("1a2b", "")]
    assert set(former_names(owner)) == set(map(machine_name, earlier))
    assert former_names(replace(owner, generation=1)) == ()
    assert len(former_names(replace(owner, generation=10**9))) == 200
