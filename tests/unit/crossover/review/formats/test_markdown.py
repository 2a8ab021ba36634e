"""What stands in a comment is what is seen."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from scripts.crossover.review.formats import markdown


@given(st.text())
def test_finding_22_nothing_that_nobody_sees_is_in_a_comment(value: str) -> None:
    """Audit 22: U+202E turned the rest of a line round; ESC and zero-width characters hide what they hide."""
    for shown in (markdown.text(value), markdown.code(value), markdown.block(value)):
        hidden = {one for one in shown if unicodedata.category(one) in ("Cc", "Cf") and one not in "\n\t\r"}
        assert hidden == set()


def test_finding_22_a_text_that_was_turned_round_reads_as_it_is_written() -> None:
    """Audit 22: letters, spaces and umlauts stay."""
    assert markdown.text("price\u202e00.1\u202c for Jörg\u200b") == "price00.1 for Jörg"
