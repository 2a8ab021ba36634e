"""A pull request does not bring its own scales: what it buys more is judged by the base's too, and the worse counts."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_guard.catalogue.catalogue import DATA as DATA_HERE
from cost_guard.catalogue.catalogue import load_catalogue
from cost_guard.codes import Level
from cost_guard.pack.registry import codes
from cost_guard.scenario.models import SINGLE
from cost_guard.scenario.waiver_file import parse_waivers
from images.sources import REPOSITORY
from scripts.crossover.review.formats.comment import render
from scripts.crossover.review.formats.report import document
from scripts.crossover.review.review import Review, ReviewOutcome
from scripts.crossover.review.scales.base import DATA, catalogue_at, weighed_by
from scripts.crossover.review.scales.both import weigh
from scripts.crossover.review.scales.inherited import inherited
from scripts.crossover.stack.config import Tree, config_path
from scripts.crossover.stack.verdict import Side, Yardstick
from stacks.settings import parse, with_stand_ins
from tests.unit.crossover.review.conftest import QUOTED, TODAY, Project, config

YARDSTICK = Yardstick(load_catalogue(), TODAY, "prod")
HERE = Tree(Path())


def side(given: dict[str, Any], yardstick: Yardstick = YARDSTICK) -> Side:
    """A configuration, judged."""
    values = {key.removeprefix("crossover:"): value for key, value in given["config"].items()}
    proposals = parse(with_stand_ins(values)).proposals
    return Side("HEAD", None, proposals, yardstick.judge(proposals))


def reviewed(new: dict[str, Any], old: dict[str, Any] | None, own: Yardstick = YARDSTICK, **base: Any) -> Review:
    """The review of one against the other; `base` is what the base's files of the yardstick are."""
    there, unread = weighed_by(own, base.get("tree", HERE), base.get("judges", ()))
    assert not unread
    head, before = side(new, own), Side("HEAD") if old is None else side(old, there)
    return Review(
        "prod", config_path("prod"), TODAY, head, before, scales=weigh(head, before, own, there, there.judge),
        waivers=own.waivers, inherited=inherited(head, before, there.catalogue),
    )  # fmt: skip


def figures(review: Review) -> dict[str, tuple[str, str]]:
    """Key → before and now."""
    assert review.scales is not None
    return {figure.key: (figure.before, figure.now) for figure in review.scales.changed}


def blocks(review: Review) -> set[str]:
    return {finding.rule for finding in review.findings if finding.level == "BLOCK"}


def test_a_larger_volume_does_not_justify_nodes_of_the_same_pull_request() -> None:
    """4 nodes of $7,920 and $4,100 are $35,780: 12B at $5 are $60,000, 6B as the base says $30,000."""
    volume = {"tokensPerMonth": 12e9, "kind": "asserted"}
    review = reviewed(config(4, workload=volume), config(2, workload={"tokensPerMonth": 6e9, "kind": "asserted"}))
    assert review.verdict is not None
    assert not review.verdict.blocked
    assert review.outcome is ReviewOutcome.BLOCK
    assert "break-even" in blocks(review)
    assert figures(review) == {"workload.tokensPerMonth": ("6,000,000,000", "12,000,000,000")}
    comment = render(review)
    assert "weighed by, and buys more** (4 nodes instead of 2, nodes that cost more a month): it is judged" in comment
    assert "| `workload.tokensPerMonth` | 6,000,000,000 | 12,000,000,000 |" in comment
    assert "`prod` pays by its own figures alone; by the base's it breaks break-even" in comment.splitlines()[1]
    assert "by the base's figures: 6B tokens/month cost $35,780/month self-hosted" in comment
    assert document(review, False)["scales"]["verdict"]["verdict"] == "BLOCK"


@pytest.mark.parametrize(
    "kinder",
    [
        {"managed": {"usdPerMillionTokens": 15.0}},
        {"overhead": {"engineerUsdPerMonth": 0, "understatedBy": 0}, "managed": {"usdPerMillionTokens": 5.9}},
        {"managed": {"usdPerMillionTokens": 5.97}, "uncertainty": {"draws": 1, "seed": 3, "volume": 0}},
        {"managed": {"routes": [{"model": "claude-sonnet-4-6", "share": 1}]}},
        {"horizon": {"residualUsd": 300000}, "managed": {"usdPerMillionTokens": 6.0}},
    ],
)
def test_nor_does_any_other_kinder_figure(kinder: dict[str, Any]) -> None:
    """Those that an audit brought through; each is named."""
    review = reviewed(config(4, **kinder), config(2))
    assert "break-even" in blocks(review)
    assert {key.partition(".")[0] for key in figures(review)} >= set(kinder) - {"uncertainty"}


def test_scales_alone_are_judged_by_their_own_and_both_are_told() -> None:
    """500M tokens do not pay; 6B do. Nothing more is bought."""
    review = reviewed(config(2), config(2, volume=5e8))
    assert review.outcome is not ReviewOutcome.BLOCK
    assert review.scales is not None
    assert review.scales.buys == ()
    assert review.scales.verdict is not None
    assert review.scales.verdict.level is Level.BLOCK
    assert "weighed by, and buys no more.** Its own figures count. By its own: **" in render(review)


def test_what_is_bought_alone_has_one_verdict() -> None:
    assert reviewed(config(4), config(2)).scales is None
    assert reviewed(config(2), config(2)).scales is None


def test_a_default_of_the_base_is_a_figure_of_the_base() -> None:
    """Who writes down a kinder one brings a scale, as who changes it."""
    review = reviewed(config(4, overhead={"engineerUsdPerMonth": 0}), config(2))
    assert figures(review) == {"overhead.engineerUsdPerMonth": ("3,500", "0")}


def test_a_waiver_lets_through_what_comes_after_it() -> None:
    entry = {"policy": "break-even", "stack": "prod", "owner": "ada", "approver": "grace", "reason": "the migration",
             "ticket": "FIN-1", "created": "2026-04-01", "expires": "2026-06-01"}  # fmt: skip
    waivers = parse_waivers(str([entry, {**entry, "policy": "probability"}, {**entry, "policy": "horizon"}]), codes())
    own = replace(YARDSTICK, waivers=waivers)

    class Base(Tree):
        def text(self, path: str) -> str | None:
            return None

    review = reviewed(config(4), config(2), own, judges=("waivers.yaml",), tree=Base(Path(), "HEAD"))
    assert {finding.rule for finding in review.findings if finding.level == "WAIVED"} >= {"break-even"}
    assert "break-even" in blocks(review)
    assert figures(review) == {"waivers.yaml": ("0 waivers", "3 waivers")}
    assert reviewed(config(4), config(2), own).scales is None


@pytest.fixture
def cheaper(project: Project) -> Callable[[str, str], tuple[Yardstick, Tree]]:
    """A pull request that changes a text of prices.toml: its yardstick, and the base."""

    def changed(old: str, new: str) -> tuple[Yardstick, Tree]:
        folder = project.folder / DATA
        shutil.copytree(DATA_HERE, folder)
        project.commit()
        text = (folder / "prices.toml").read_text()
        assert old in text
        (folder / "prices.toml").write_text(text.replace(old, new, 1))
        return replace(YARDSTICK, catalogue=load_catalogue(folder)), Tree(project.folder, "HEAD")

    return changed


def test_prices_of_the_same_pull_request_do_not_count(cheaper: Callable[[str, str], tuple[Yardstick, Tree]]) -> None:
    """At $100 a node everything pays."""
    own, base = cheaper("usdPerMonth = 7920", "usdPerMonth = 100")
    review = reviewed(config(4), config(2), own, tree=base, judges=(f"{DATA}/prices.toml",))
    assert review.verdict is not None
    assert not review.verdict.blocked
    assert "break-even" in blocks(review)
    assert figures(review) == {f"prices.toml {QUOTED}.usdPerMonth": ("7920", "100")}


def test_a_new_row_comes_in_one_change_and_what_it_justifies_in_the_next(
    cheaper: Callable[[str, str], tuple[Yardstick, Tree]],
) -> None:
    own, base = cheaper(f'["{QUOTED}"]', f'["{QUOTED}-b"]')
    given = config(2)
    for node in given["config"]["crossover:fleet"]["nodes"].values():
        node["candidates"][0]["standsFor"] = f"{QUOTED}-b"
    review = reviewed(given, config(2), own, tree=base, judges=(f"{DATA}/prices.toml",))
    assert "price-known" in blocks(review)
    assert review.scales is not None
    assert "a node whose price the base does not know" in review.scales.buys


def test_a_base_without_a_catalogue_is_none(project: Project) -> None:
    project.commit(config())
    assert catalogue_at(Tree(project.folder, "HEAD")) is None


def test_what_is_kinder_than_its_default_is_named_of_a_new_stack() -> None:
    """It has no base of its own: its keys count. Dearer overhead is not kinder."""
    given = {"overhead": {"engineerUsdPerMonth": 9000, "monitoringUsdPerMonth": 0}}
    review = reviewed(config(2, **given), None)
    told = figures(review)
    assert told["overhead.monitoringUsdPerMonth"] == ("200", "0")
    assert told["uncertainty.draws"] == ("10000", "100")
    assert "overhead.engineerUsdPerMonth" not in told
    assert review.outcome is not ReviewOutcome.BLOCK
    assert "**The base has no figures to weigh it by:** its own count, with the base's prices and" in render(review)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({}, ("", "12")),
        ({"model": "nobody-knows"}, ("", "12")),
        ({"model": "gpt-4o"}, ("4.375", "12")),
        ({"model": "gpt-4o", "usdPerMillionTokens": 4}, None),
    ],
    ids=["of no model", "of one without a row", "dearer than its row", "cheaper than its row"],
)
def test_finding_13_a_price_that_nothing_bears_out_is_named_of_a_new_stack(
    said: dict[str, Any], told: tuple[str, str] | None
) -> None:
    """Audit 13: who gives itself a price brings a scale. gpt-4o at 3:1 is 0.75 × 2.50 + 0.25 × 10 = $4.375."""
    managed = {"usdPerMillionTokens": 12, "source": "invoice", "date": "2026-04-01", **said}
    assert figures(reviewed(config(2, managed=managed), None)).get("managed.usdPerMillionTokens") == told


def test_a_model_that_is_renamed_is_weighed_all_the_same() -> None:
    head, base = side(config(4, volume=12e9)), side(config(2))
    renamed = replace(head, proposals={"other": head.proposals[SINGLE]})
    found = weigh(renamed, base, YARDSTICK, YARDSTICK, YARDSTICK.judge)
    assert found is not None
    assert found.verdict is not None
    assert found.verdict.blocked


def several(**models: tuple[int, float, str]) -> dict[str, Any]:
    """Each of so many nodes, tokens and weights."""
    one = config()["config"]
    found = {}
    for name, (nodes, volume, weights) in models.items():
        own = config(nodes, volume, serving={**SERVING, "model": weights, "servedName": name})["config"]
        found[name] = {k: own[f"crossover:{k}"] for k in ("workload", "managed", "fleet", "serving")}
        found[name]["fleet"] = {"nodes": {f"{name}-{key}": node for key, node in found[name]["fleet"]["nodes"].items()}}
    kept = {key: one[key] for key in ("crossover:uncertainty", "crossover:gatewayNode")}
    return {"config": {"crossover:models": found, **kept}}


def test_finding_13_a_new_name_and_other_weights_bring_no_volume() -> None:
    """Audit 13: one model that goes and two that come: the larger one is weighed by the volume of the one that goes. 4
    nodes of $7,920, and their part of $4,100, are over the $30,000 of 6B at $5."""
    two = several(
        new=(4, 12e9, "meta-llama/Llama-3.1-70B-Instruct"), small=(2, 6e9, "meta-llama/Llama-3.1-8B-Instruct")
    )
    review = reviewed(two, config(2))
    assert review.verdict is not None
    assert review.scales is not None
    assert {one.name: one.blocked for one in review.verdict.models}["new"] is False
    assert review.scales.buys == (
        "4 nodes instead of 2",
        "nodes that cost more a month",
        "another model",
        "the model small is new",
    )
    assert "break-even" in blocks(review)
    assert figures(review)["new: workload.tokensPerMonth"] == ("6,000,000,000", "12,000,000,000")


KINDER: dict[str, st.SearchStrategy[Any]] = {
    "workload": st.fixed_dictionaries(
        {"tokensPerMonth": st.integers(10**9, 10**12)},
        optional={"peakToMean": st.sampled_from([1, 1.1, 1.2]), "growthPerMonth": st.sampled_from([0.01, 0.1, 0.2])},
    ),
    "managed": st.fixed_dictionaries({"usdPerMillionTokens": st.integers(5, 500)}),
    "overhead": st.fixed_dictionaries(
        {}, optional={key: st.integers(0, 100) for key in ("engineerUsdPerMonth", "monitoringUsdPerMonth")}
    ),
    "horizon": st.fixed_dictionaries({}, optional={"residualUsd": st.integers(0, 10**6), "months": st.integers(1, 60)}),
    "uncertainty": st.fixed_dictionaries({"draws": st.integers(1, 50), "volume": st.sampled_from([0, 0.1, 0.2])}),
}


@settings(max_examples=40, deadline=None)
@given(st.fixed_dictionaries({}, optional=KINDER), st.integers(3, 8))
def test_figures_that_are_only_kinder_never_bring_through_what_the_base_blocks(
    kinder: dict[str, Any], nodes: int
) -> None:
    """3 nodes at 1B tokens do not pay, nor do more. Whatever the pull request says of its own worth, it blocks."""
    old = config(2, volume=1e9, uncertainty={"draws": 50})
    by_base = side(config(nodes, volume=1e9, uncertainty={"draws": 50}))
    assert by_base.verdict is not None
    assert by_base.verdict.blocked
    given_up = {"volume": 1e9, "uncertainty": {"draws": 50}} | kinder
    review = reviewed(config(nodes, **given_up), old)
    assert review.outcome is ReviewOutcome.BLOCK


def at_lambda(ceiling: float | None, nodes: int = 2) -> dict[str, Any]:
    rung = {"cloud": "lambda", "sku": "gpu_8x_a100_80gb_sxm4"} | ({} if ceiling is None else {"maxUsdPerHour": ceiling})
    ladders = {key: {"candidates": [{**rung, "region": f"r-{key}"}]} for key in "abcd"[:nodes]}
    return {"fleet": {"nodes": ladders}, "gateway": {"tlsServerName": "llm.example.com"}}


SERVING = config()["config"]["crossover:serving"]


@pytest.mark.parametrize(
    ("now", "before", "more"),
    [
        (at_lambda(30), at_lambda(24), ("a higher ceiling",)),
        (at_lambda(None), at_lambda(24), ("a higher ceiling",)),
        (at_lambda(24), at_lambda(30), ()),
        (at_lambda(24, 3), at_lambda(24), ("3 nodes instead of 2", "nodes that cost more a month")),
        ({"horizon": {"upfrontUsd": 10}}, {}, ("more paid up front",)),
        ({"gateway": {"managedBudgetUsdPerMonth": 9}}, {}, ("more that the gateway may spend at managed APIs",)),
        ({"gateway": {"managedBudgetUsdPerMonth": 9}}, {"gateway": {"managedBudgetUsdPerMonth": 9}}, ()),
        ({}, {"horizon": {"upfrontUsd": 10}}, ()),
        ({"serving": SERVING | {"model": "meta-llama/Llama-3.1-70B-Instruct"}}, {}, ("another model",)),
        ({"serving": SERVING | {"maxModelLen": 131072}}, {}, ("another way to serve the model",)),
    ],
)
def test_what_more_is_bought_is_said(now: dict[str, Any], before: dict[str, Any], more: tuple[str, ...]) -> None:
    """Beside any scale that changes."""
    found = weigh(
        side(config(2, **{"overhead": {"monitoringUsdPerMonth": 0}, **now})),
        side(config(2, **before)),
        YARDSTICK,
        YARDSTICK,
        YARDSTICK.judge,
    )
    assert found is not None
    assert found.buys == more


def test_finding_14_larger_disks_are_bought_as_what_they_are() -> None:
    """Audit 14: 16 TiB a node at AWS are $3,601 a month more; no node costs more."""
    example = yaml.safe_load((REPOSITORY / config_path("aws")).read_text())
    larger = deepcopy(example)
    larger["config"]["crossover:clouds"]["aws"]["rootGb"] = 16_384
    larger["config"]["crossover:workload"]["tokensPerMonth"] = 19e9
    found = weigh(side(larger), side(example), YARDSTICK, YARDSTICK, YARDSTICK.judge)
    assert found is not None
    assert found.buys == ("what is made besides nodes, which costs more a month",)
