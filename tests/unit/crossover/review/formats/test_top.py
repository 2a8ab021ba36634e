"""A reviewer finds all that matters in the comment's first fifteen lines: proposal, costs, verdict, who must agree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import yaml

from cost_guard.pack.registry import codes
from cost_guard.scenario.waiver_file import parse_waivers
from cost_guard.scenario.waivers import Waivers
from scripts.crossover.review.formats.comment import render
from scripts.crossover.review.formats.top import MOST_LINES
from scripts.crossover.review.review import Review
from tests.support.catalogue import api
from tests.unit.crossover.review import conftest
from tests.unit.crossover.review.conftest import config

Reviewed = Callable[..., Review]


def first(review: Review) -> str:
    """The first fifteen lines, the marker counted."""
    return "\n".join(render(review).splitlines()[:MOST_LINES])


def lines(review: Review) -> dict[str, str]:
    """What each line of the list says, by its name."""
    told = [line[4:].split("**: ", 1) for line in first(review).splitlines() if line.startswith("- **")]
    return {name: words for name, words in told if not name.islower()}


def test_the_first_fifteen_lines_hold_all_of_it(reviewed: Reviewed) -> None:
    """4 nodes at $7,920 and $4,100 of overhead against 6B at $5; over 24 months 24 times that."""
    review = reviewed(config(4), config(2))
    assert MOST_LINES == 15
    assert "**$35,780 a month** for 4 nodes, $15,840 more than before" in first(review)
    assert lines(review) == {
        "Proposal": "4 nodes (4 × `local/sim-8x-a100`) for 6B tokens a month of meta-llama/Llama-3.3-70B-Instruct",
        "Managed": "**$30,000 a month** at $5/M tokens; over 24 months $720,000 against $858,720 self-hosted",
        "Same weights": "no API is known that serves them",
        "Verdict": "BLOCK for break-even, horizon, probability; cheapest that is allowed: managed",
        "Must agree": "an approver of waivers, unless it is mended, for break-even, horizon, probability",
    }


def test_an_api_with_the_same_weights_has_its_price(reviewed: Reviewed, monkeypatch: pytest.MonkeyPatch) -> None:
    """6B at $0.50."""
    row = api("host/llama", "0.5").model_copy(update={"weights": conftest.MODEL})
    known = conftest.CATALOGUE
    monkeypatch.setattr(conftest, "CATALOGUE", replace(known, managed={**known.managed, row.key: row}))
    assert lines(reviewed(config(2), config(2)))["Same weights"] == "**$3,000 a month** at $0.50/M tokens, host/llama"


def test_who_must_agree_is_told_with_what_for(reviewed: Reviewed) -> None:
    """Owners of what judges, who approves a baseline, who waives, and who says why the same weights are no option."""
    word = {"reason": "rate limits", "approvedBy": "c. finance", "date": "2026-04-01"}
    own = {"nodes": 4, "usdPerMonth": 35780, "approvedBy": "b. boss", "date": "2026-04-19"}
    managed = {"usdPerMillionTokens": 5.0, "notSameWeights": word}
    head = config(4, managed=managed, baseline=own)
    who = lines(reviewed(head, config(2), waivers=waivers(), judges_changed=("policies/x.py",)))["Must agree"]
    for told in (
        "the owners in `.github/CODEOWNERS`, for what judges it",
        "b. boss, for the baseline",
        "d. chief, who waives break-even",
        "c. finance, for notSameWeights",
    ):
        assert told in who


def test_a_change_that_asks_nobody_says_so(reviewed: Reviewed) -> None:
    assert lines(reviewed(config(2), config(2)))["Must agree"] == "nobody but a reviewer"


def test_nothing_is_told_of_what_cannot_be_judged(reviewed: Reviewed) -> None:
    assert lines(reviewed(config(2, managed={}), config(2))) == {}


def waivers() -> Waivers:
    entry = {
        "policy": "break-even",
        "stack": "prod",
        "reason": "a launch",
        "ticket": "T-1",
        "owner": "e. engineer",
        "approver": "d. chief",
        "created": "2026-04-01",
        "expires": "2026-06-01",
    }
    return parse_waivers(yaml.safe_dump([entry]), codes())
