"""The comment on a stack of several models: a line each, the sum, and the first fifteen lines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from scripts.crossover.review.formats.comment import render
from scripts.crossover.review.formats.report import document
from scripts.crossover.review.formats.top import MOST_LINES
from scripts.crossover.review.review import Review
from scripts.crossover.review.scales.inherited import inherited
from tests.unit.crossover.review.conftest import CATALOGUE, config

Reviewed = Callable[..., Review]
LLAMA = "meta-llama/Llama-3.3-70B-Instruct"


def several(**nodes: int) -> dict[str, Any]:
    """Each of 6B tokens at $5; the nodes' keys are their own."""
    models, one = {}, config()["config"]
    for name, count in nodes.items():
        ladders = {
            f"{name}-{number}": {"candidates": [{"cloud": "local", "region": f"{name}-{number}", "sku": "sim-8x-a100",
                                                 "standsFor": "quoted/lambda-8x-a100-80gb"}]}
            for number in range(count)
        }  # fmt: skip
        models[name] = {
            "workload": {"tokensPerMonth": 6e9, "kind": "asserted"},
            "managed": {"usdPerMillionTokens": 5.0, "model": "api", "source": "invoice", "date": "2026-04-01"},
            "fleet": {"nodes": ladders},
            "serving": {"engine": "simulator", "model": LLAMA, "servedName": name},
        }
    kept = {key: one[key] for key in ("crossover:uncertainty", "crossover:gatewayNode")}
    return {"config": {"crossover:models": models, **kept}}


def line(comment: str, name: str) -> list[str]:
    found = next(line for line in comment.splitlines() if line.startswith(f"| {name} |"))
    return [cell.strip() for cell in found.strip("|").split("|")][1:]


def test_each_model_has_a_line_and_the_sum_follows(reviewed: Reviewed) -> None:
    """2 + 4 nodes of $7,920 and $4,100, shared 2 : 4, are $51,620; before, 2 + 2, it was $35,780, half of it each."""
    review = reviewed(several(chat=2, code=4), several(chat=2, code=2))
    comment = render(review)
    chat, code = line(comment, "`chat`"), line(comment, "`code`")
    assert chat[:4] == ["2", "6B", "$17,890 → $17,206.67", "$30,000"]
    assert code[:4] == ["2 → 4", "6B", "$17,890 → $34,413.33", "$30,000"]
    assert chat[4] == "none known"
    assert code[6].endswith("BLOCK for break-even, horizon, probability")
    assert line(comment, "Nodes") == ["4", "6", "+2"]
    assert line(comment, "**Self-hosted, USD per month**")[:2] == ["$35,780", "$51,620"]
    assert line(comment, "**Projected volume, tokens per month**")[:2] == ["12B", "12B"]
    bill = "**$51,620 a month** for 6 nodes of 2 models, $15,840 more than before ($35,780 for 4 nodes of 2 models)"
    assert bill in comment
    assert [one["name"] for one in document(review, False)["head"]["verdict"]["models"]] == ["chat", "code"]


def test_the_first_lines_hold_all_of_it_for_several_too(reviewed: Reviewed) -> None:
    first = "\n".join(render(reviewed(several(chat=2, code=4))).splitlines()[:MOST_LINES])
    for told in ("**Proposal**", "**$51,620 a month**", "**Managed**: **$60,000 a month**", "**Same weights**",
                 "**Verdict**: BLOCK", "**Must agree**"):  # fmt: skip
        assert told in first


def test_what_would_let_each_model_through_is_told(reviewed: Reviewed) -> None:
    """4 of 6 nodes cost $31,680 and their two thirds of $4,100, $34,413.33, at 6B tokens: from $5.74 on. Of 2 nodes
    and 6B tokens nothing need change, so nothing is told."""
    review = reviewed(several(chat=2, code=4), several(chat=2, code=2))
    assert {flip.model for flip in review.flips} == {"code"}
    told = render(review).partition("### What would let it through\n")[2].partition("\n\n")[0].splitlines()
    assert told[0] == "Any one of these, alone:"
    assert "- code: a managed price of at least $5.74/M tokens (+14.8 %)" in [line.partition(";")[0] for line in told]
    assert [flip["model"] for flip in document(review, False)["flips"]] == ["code"] * len(review.flips)


def test_two_models_that_block_need_one_change_each(reviewed: Reviewed) -> None:
    """Of 8 nodes each pays half."""
    comment = render(reviewed(several(chat=4, code=4)))
    assert "Each model that blocks needs one of its own, alone:\n- chat: " in comment
    assert "\n- code: a managed price of at least $" in comment


def test_a_word_for_several_models_is_asked_once(reviewed: Reviewed) -> None:
    given = several(chat=2, code=2)
    said = {"reason": "the rate limits", "approvedBy": "ada", "date": "2026-04-01"}
    for one in given["config"]["crossover:models"].values():
        one["managed"]["notSameWeights"] = said
    assert "- **Must agree**: ada, for notSameWeights\n" in render(reviewed(given))


def test_a_block_of_one_model_that_its_base_does_not_have_is_not_the_other_ones(reviewed: Reviewed) -> None:
    """See `scales.inherited`: codes are compared model by model."""
    poor = several(chat=2, code=2)
    for name in ("chat", "code"):
        poor["config"]["crossover:models"][name]["workload"]["tokensPerMonth"] = 1e9
    half = several(chat=2, code=2)
    half["config"]["crossover:models"]["chat"]["workload"]["tokensPerMonth"] = 1e9
    for new, old, codes in ((poor, half, set()), (half, poor, {"break-even", "horizon", "probability"})):
        review = reviewed(new, old)
        assert review.base is not None
        found = inherited(review.head, review.base, CATALOGUE)
        assert found == codes
        assert replace(review, inherited=found).outcome == ("WARN" if codes else "BLOCK")
