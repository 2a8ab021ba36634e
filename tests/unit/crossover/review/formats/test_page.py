"""What the page says that a comment begins with is what a comment begins with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import yaml

from cost_guard.pack.registry import codes
from cost_guard.scenario.waiver_file import parse_waivers
from cost_guard.scenario.waivers import Waivers
from images.sources import REPOSITORY
from scripts.crossover.review.formats.headline import headline, lead
from scripts.crossover.review.preview.events import Run
from scripts.crossover.review.review import Review
from scripts.crossover.review.scales.inherited import inherited
from tests.unit.crossover.review.conftest import CATALOGUE, Project, config

Reviewed = Callable[..., Review]
PAGE = (REPOSITORY / "docs" / "howto" / "pull-requests.md").read_text()


def waived(expires: str) -> Waivers:
    entry = {"stack": "prod", "owner": "ada", "approver": "grace", "reason": "the migration", "ticket": "FIN-1",
             "created": "2026-04-01", "expires": expires}  # fmt: skip
    entries = [{**entry, "policy": code} for code in ("break-even", "horizon", "probability")]
    return parse_waivers(yaml.safe_dump(entries), codes())


def shown() -> Iterator[tuple[str, str]]:
    """First cell and second of each row of the page's table."""
    table = PAGE.partition("| Pull request | Its comment begins |")[2].partition("\n\n")[0]
    for line in table.splitlines()[2:]:
        what, begins = line.strip("| ").split(" | ", 1)
        yield what, begins


def test_every_row_of_the_page_is_what_the_comment_begins_with(reviewed: Reviewed, project: Project) -> None:
    two, four, loses = config(2), config(4), config(2, volume=1e9)
    project.commit()
    new = reviewed(two)
    red = reviewed(loses, loses)
    assert red.base is not None
    made = {
        "a waiver that the base has": reviewed(four, two, waivers=waived("2026-06-01")),
        "an expired waiver": reviewed(four, two, waivers=waived("2026-04-10")),
        "a new stack": replace(new, base=replace(new.head, name="HEAD", config=None, proposals={}, verdict=None)),
        "nothing of the stack changes": reviewed(two, two),
        "its base is blocked too": replace(red, inherited=inherited(red.head, red.base, CATALOGUE)),
        "an error in the configuration": reviewed(config(2, managed={}), two),
        "the program or the engine fails": reviewed(two, two, run=Run(failures=("boom",))),
        "a fork (`--untrusted`)": reviewed(four, two, untrusted=True),
    }
    rows = dict(shown())
    assert {*rows} == {*made, "a stack is removed"}  # which test_command.py looks at
    for what, review in made.items():
        assert rows[what] == f"{headline(review)}<br>{lead(review)}", what
