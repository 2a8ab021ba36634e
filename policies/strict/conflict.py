"""Both sides of a merge that nobody has ended stand in a file: no parser's words say that."""

from __future__ import annotations

import re

_BEGINS = re.compile(r"^<{7} ", re.MULTILINE)
_ENDS = re.compile(r"^>{7} ", re.MULTILINE)
WORDS = "both sides of a merge stand here; keep one, and take out git's lines <<<<<<<, ======= and >>>>>>>"


def conflict_line(text: str) -> int | None:
    """The line, from 1, of git's first conflict marker in a text that is not what it should be; None where it has
    none."""
    begins = _BEGINS.search(text)
    return text.count("\n", 0, begins.start()) + 1 if begins and _ENDS.search(text, begins.end()) else None
