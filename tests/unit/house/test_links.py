"""Every link of the documentation leads somewhere: to a file of this repository, and to a heading of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.house.source import CHECKOUT

LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)|(?:src|srcset|href)=\"(?P<quoted>[^\"]+)\"")
CODE = re.compile(r"^```.*?^```|^ {4}.*?$|`[^`\n]*`", re.DOTALL | re.MULTILINE)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
PAGES = sorted(
    [*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").rglob("*.md")], key=lambda page: page.relative_to(CHECKOUT)
)


def links(page: Path) -> Iterator[str]:
    """The targets that are no address, without those that stand in code."""
    for found in LINK.finditer(CODE.sub("", page.read_text("utf-8"))):
        target = found["target"] or found["quoted"]
        if not re.match(r"[a-z]+:", target):
            yield target


def anchors(page: Path) -> set[str]:
    """The names that GitHub gives a page's headings: lower case, without punctuation, a dash for each space."""
    spans = re.compile(r"`([^`\n]*)`")
    headings = HEADING.findall(spans.sub(r"\1", page.read_text("utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(CHECKOUT)) for page in PAGES])
def test_every_link_leads_to_a_file_and_to_a_heading_of_it(page: Path) -> None:
    """A page that was moved, or a heading that was reworded, would leave its readers nowhere."""
    lost = []
    for target in links(page):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
            lost.append(target)
    assert lost == []


def test_there_are_links() -> None:
    """The expression above finds them."""
    assert sum(1 for page in PAGES for _ in links(page)) > 50
