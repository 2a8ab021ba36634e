"""Markdown that says what was meant: text from a configuration cannot become a link, a mention, HTML or a table."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Sequence
from decimal import Decimal

_SPECIAL = re.compile(r"([\\`*_{}\[\]|~])")
_ACTIVE = re.compile(r"(@|#(?=\d)|(?i:\bgh-)(?=\d)|(?i:\bwww)(?=\.)|:(?=//))")
"""What GitHub turns into a mention, a reference or a link, even within text."""
_BLOCK = re.compile(r"^(\d*)([#+=-]+|[.)])(?=\s|$)")
"""What would begin a heading, a list or a rule."""

BAR_CELLS = 28
_EIGHTHS = " ▏▎▍▌▋▊▉"


def visible(value: str) -> str:
    """Without what nobody sees and what changes how the rest is shown: control characters (but line and tab), and
    those of format, which turn the direction of a text or hide in it (Unicode's categories Cc and Cf)."""
    return "".join(one for one in value if one in "\n\t\r" or unicodedata.category(one) not in ("Cc", "Cf"))


def text(value: str) -> str:
    """One line that is shown as it is."""
    line = " ".join(visible(value).split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = _SPECIAL.sub(r"\\\1", line)
    # An empty comment parts what GitHub would join; an entity would not, it is resolved before.
    line = _ACTIVE.sub(r"\1<!-- -->", line)
    return _BLOCK.sub(r"\1\\\2", line)


def code(value: str) -> str:
    """A name in a code span, in a table too."""
    line = " ".join(visible(value).split()).replace("|", "¦")
    fence = "`" * (_longest_run(line) + 1)
    padding = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{padding}{line}{padding}{fence}" if line else ""


def block(value: str) -> str:
    """Several lines as they are: the fence is longer than any in them."""
    fence = "`" * max(3, _longest_run(value) + 1)
    return f"{fence}text\n{visible(value)}\n{fence}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: bool = False) -> str:
    """A table whose cells are Markdown already. With `numbers`, all columns but the first are right-aligned."""
    rule = ["---", *(["--:" if numbers else "---"] * (len(header) - 1))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *rows))


def details(summary: str, body: str) -> str:
    """Collapsed until it is asked for. `summary` is plain text."""
    return f"<details><summary>{html.escape(summary)}</summary>\n\n{body}\n\n</details>"


def bar(value: Decimal, largest: Decimal) -> str:
    """A bar of at most BAR_CELLS cells, to an eighth of a cell."""
    eighths = int((value / largest * BAR_CELLS * 8).to_integral_value()) if largest > 0 else 0
    whole, part = divmod(max(eighths, 0), 8)
    return "█" * whole + (_EIGHTHS[part] if part else "")


def _longest_run(value: str) -> int:
    return max((len(run) for run in re.findall(r"`+", value)), default=0)
