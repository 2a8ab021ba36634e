"""A base that is blocked itself deadlocks nothing: what buys nothing is judged by its own figures, and is not refused
for what blocks its base as well."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from cost_guard.catalogue.catalogue import DATA as DATA_HERE
from images.sources import REPOSITORY
from scripts.crossover.__main__ import app
from scripts.crossover.review import make
from scripts.crossover.review.formats.comment import render
from scripts.crossover.review.review import BASE_TOO, Review, ReviewOutcome
from scripts.crossover.review.scales.base import DATA
from scripts.crossover.review.scales.inherited import inherited
from tests.unit.crossover.review.conftest import CATALOGUE, CERTAIN, Project, config

TODAY = "2026-11-22"
"""241 days after the quotation: over the 180 of `price-fresh`."""
QUOTED_ON, AGAIN = "date = 2026-03-26", "date = 2026-11-20"
RUNG = {"cloud": "quoted", "sku": "lambda-8x-a100-80gb"}
"""Of a cloud that bills: old prices block."""


def bills(nodes: int = 2, **more: Any) -> dict[str, Any]:
    """2 × $7,920 and $4,100 for 6B tokens at $5 pay, and no API serves the weights."""
    return config(
        workload={"tokensPerMonth": 6e9, "kind": "asserted"},
        managed={"usdPerMillionTokens": 5.0, "model": "gpt-4o", "date": "2026-11-01"},
        fleet={"nodes": {key: {"candidates": [{**RUNG, "region": key}]} for key in "abcd"[:nodes]}},
        constraints={"fineTuned": True},
        uncertainty=CERTAIN,
        **more,
    )


Judged = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def judged(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Judged:
    """What the base's code says of the branch `fork`: exit code and report. The catalogue here is the base's."""
    shutil.copy(REPOSITORY / "Pulumi.yaml", project.folder)
    shutil.copytree(DATA_HERE, project.folder / DATA)
    monkeypatch.setattr(make, "REPOSITORY", project.folder)
    monkeypatch.delenv("CROSSOVER_WAIVERS", raising=False)

    def run(ref: str = "fork") -> tuple[int, dict[str, Any]]:
        project.git("checkout", "-q", "main")
        out = ["--out", str(tmp_path / "out"), "--today", TODAY, "--json"]
        done = CliRunner().invoke(app, ["preview", "--stack", "prod", "--untrusted", ref, "--base", "HEAD", *out])
        return done.exit_code, json.loads(done.stdout)

    return run


def levels(report: dict[str, Any], code: str) -> list[str]:
    return [finding["level"] for finding in report["findings"] if finding["rule"] == code]


def renewed(project: Project, text: str = AGAIN) -> None:
    """The quotation of the branch that is checked out, looked up again."""
    prices = project.folder / DATA / "prices.toml"
    assert QUOTED_ON in prices.read_text()
    prices.write_text(prices.read_text().replace(QUOTED_ON, text, 1))


def test_renewed_prices_are_judged_by_themselves_by_the_code_of_a_base_that_old_ones_block(
    project: Project, judged: Judged
) -> None:
    project.commit(bills())
    project.git("checkout", "-q", "-b", "fork")
    renewed(project)
    project.commit()
    code, report = judged()
    assert (code, levels(report, "price-fresh")) == (0, [])
    assert report["base"]["verdict"]["verdict"] == "BLOCK"
    assert [one["now"] for one in report["scales"]["changed"]] == ["2026-11-20"]
    assert report["scales"]["buysMore"] == []


def test_what_they_justify_comes_in_the_next_change(project: Project, judged: Judged) -> None:
    """One node more, and the base's prices count, too."""
    project.commit(bills())
    project.git("checkout", "-q", "-b", "fork")
    renewed(project)
    project.commit(bills(3))
    code, report = judged()
    assert (code, levels(report, "price-fresh")) == (2, ["BLOCK"])
    assert report["scales"]["buysMore"] == ["3 nodes instead of 2", "nodes that cost more a month"]


def test_what_buys_nothing_is_not_refused_for_what_its_base_has_too(project: Project, judged: Judged) -> None:
    """A change of the gate's own code, say; with a node more it is."""
    project.commit(bills())
    project.git("checkout", "-q", "-b", "fork")
    (project.folder / "policies" / "rule.py").write_text("code")
    project.commit()
    code, report = judged()
    assert (code, levels(report, "price-fresh")) == (0, ["WARN"])
    assert report["blocksTheBaseToo"] == ["price-fresh"]
    assert report["head"]["verdict"]["verdict"] == "BLOCK"
    [said] = [one["message"] for one in report["findings"] if one["rule"] == "price-fresh"]
    assert said.endswith(BASE_TOO)
    project.git("checkout", "-q", "fork")
    project.commit(bills(3))
    code, report = judged()
    assert (code, levels(report, "price-fresh"), report["blocksTheBaseToo"]) == (2, ["BLOCK"], [])


def test_prices_that_the_bases_code_cannot_read_leave_the_bases_in_force(project: Project, judged: Judged) -> None:
    """A new form of the catalogue comes in with the code that reads it."""
    project.commit(bills())
    project.git("checkout", "-q", "-b", "fork")
    renewed(project, f'{AGAIN}\nanotherKey = "x"')
    project.commit()
    code, report = judged()
    assert (code, levels(report, "price-fresh"), levels(report, "base-scales")) == (0, ["WARN"], ["WARN"])
    [said] = [one["message"] for one in report["findings"] if one["rule"] == "base-scales"]
    assert said.startswith("the pull request's files that weigh cannot be read: prices.toml:")
    assert said.endswith("Those of the base count.")


def test_a_waiver_that_is_renewed_lifts_what_the_expired_one_left(project: Project, judged: Judged) -> None:
    """Alone; beside one node more, the expired one counts."""
    entry = {"policy": "price-fresh", "stack": "prod", "owner": "ada", "approver": "grace", "reason": "the migration",
             "ticket": "FIN-1", "created": "2026-09-01", "expires": "2026-11-01"}  # fmt: skip
    (project.folder / "waivers.yaml").write_text(yaml.safe_dump([entry]))
    project.commit(bills())
    project.git("checkout", "-q", "-b", "fork")
    (project.folder / "waivers.yaml").write_text(yaml.safe_dump([entry | {"expires": "2026-11-29"}]))
    project.commit()
    code, report = judged()
    assert (code, levels(report, "price-fresh")) == (0, ["WAIVED"])
    project.git("checkout", "-q", "fork")
    project.commit(bills(3))
    assert judged()[0] == 2


Reviewed = Callable[..., Review]
RED = {"volume": 1e9}
"""1B tokens cost $5,000 managed, and two nodes $19,940."""
TWO = {"nodes": 2, "usdPerMonth": 19_940, "approvedBy": "a. person", "date": "2026-04-01"}


def blocked(review: Review) -> set[str]:
    return {finding.rule for finding in review.findings if finding.level == "BLOCK"}


def test_a_baseline_may_be_set_where_the_base_has_none_and_loses(reviewed: Reviewed) -> None:
    """Two nodes run and do not pay: who approves them buys nothing. The next change stands on it."""
    review = compared(reviewed(config(2, baseline=TWO, **RED), config(2, **RED)))
    assert review.outcome is ReviewOutcome.WARN
    assert "; its base is blocked too, for break-even, horizon, probability" in render(review).splitlines()[1]
    assert "Nothing new blocks it. What blocks its base too keeps `up` refused" in render(review)
    assert "### What would mend it" in render(review)


@pytest.mark.parametrize(
    ("new", "old", "codes"),
    [
        (config(3, **RED), config(2, **RED), {"break-even", "horizon", "probability"}),
        (config(2, **RED), config(2), {"break-even", "horizon", "probability"}),
        (config(1, **RED), config(2, **RED), {"redundancy"}),
    ],
    ids=["a node more", "a base that pays", "what the base does not have"],
)
def test_what_its_base_does_not_have_is_refused_as_ever(
    reviewed: Reviewed, new: dict[str, Any], old: dict[str, Any], codes: set[str]
) -> None:
    review = compared(reviewed(new, old))
    assert review.outcome is ReviewOutcome.BLOCK
    assert codes <= blocked(review)


def test_another_model_is_something_bought(reviewed: Reviewed) -> None:
    serving = {"engine": "simulator", "model": "meta-llama/Llama-3.1-70B-Instruct", "servedName": "llama-70b"}
    review = compared(reviewed(config(2, serving=serving, **RED), config(2, **RED)))
    assert "break-even" in blocked(review)


def test_a_waiver_that_is_taken_away_leaves_what_it_lifted(project: Project, judged: Judged) -> None:
    """The base is not blocked: it is waived."""
    entry = {"policy": "price-fresh", "stack": "prod", "owner": "ada", "approver": "grace", "reason": "the migration",
             "ticket": "FIN-1", "created": "2026-11-01", "expires": "2026-11-29"}  # fmt: skip
    (project.folder / "waivers.yaml").write_text(yaml.safe_dump([entry]))
    project.commit(bills())
    project.git("checkout", "-q", "-b", "fork")
    (project.folder / "waivers.yaml").unlink()
    project.commit()
    code, report = judged()
    assert (code, levels(report, "price-fresh")) == (2, ["BLOCK"])


def compared(review: Review) -> Review:
    """With what the base has too, by the same catalogue."""
    assert review.base is not None
    return replace(review, inherited=inherited(review.head, review.base, CATALOGUE))
