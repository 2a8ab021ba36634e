"""A reviewer reads the verdict in the first line, the money in the table, and nothing in it can do harm."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
import yaml

from cost_guard.pack.registry import codes
from cost_guard.scenario.waiver_file import parse_waivers
from cost_guard.scenario.waivers import Waivers
from images.sources import REPOSITORY
from scripts.crossover.review.formats import markdown
from scripts.crossover.review.formats.comment import MOST_CHARACTERS, TERMS, Part, fit, render
from scripts.crossover.review.formats.figures import ODDS
from scripts.crossover.review.formats.headline import headline, lead
from scripts.crossover.review.preview.events import Change, PolicyViolation, Run
from scripts.crossover.review.review import Review, ReviewOutcome
from tests.unit.crossover.review.conftest import QUOTED, config

Reviewed = Callable[..., Review]
NODE = "urn:pulumi:prod::crossover::crossover:index:Fleet$gpucloud:index:Node::a"


def row(comment: str, name: str) -> list[str]:
    """The cells of a row of the table, without their emphasis."""
    line = next(line for line in comment.splitlines() if line.startswith("|") and name in line)
    return [cell.strip().replace("\\", "") for cell in line.strip("|").split("|")][1:]


def test_a_fleet_doubled_below_break_even(reviewed: Reviewed) -> None:
    """2 → 4 nodes of $7,920 with $4,100 of overhead, for 6B tokens a month that cost 6,000 × $5 managed."""
    review = reviewed(config(4), config(2))
    comment = render(review)
    headline = "## ⛔ BLOCK: `prod` costs $5,780 a month more than the managed API\n"
    assert comment.startswith(f"<!-- crossover:stack=prod -->\n{headline}")
    assert (
        "\n**$35,780 a month** for 4 nodes, $15,840 more than before ($19,940 for 2 nodes). The check fails" in comment
    )
    assert row(comment, "Nodes") == ["2", "4", "+2"]
    assert row(comment, "Self-hosted, USD per month") == ["$19,940", "$35,780", "+$15,840 (+79.4 %)"]
    assert row(comment, "Managed for the same tokens") == ["$30,000", "$30,000", "0"]
    assert row(comment, "Saved by self-hosting") == ["$10,060", "-$5,780", "-$15,840"]
    assert row(comment, "Self-hosted, USD per M tokens") == ["$3.32", "$5.96", "+$2.64 (+79.4 %)"]
    assert row(comment, "Break-even for good") == ["3.988B", "7.156B", "+3.168B (+79.4 %)"]
    assert row(comment, "Break-even P50") == ["3.988B", "7.156B", "+3.168B (+79.4 %)"]  # of a certain scenario
    assert row(comment, "Projected volume") == ["6B", "6B", "0"]
    assert row(comment, "its source") == [COUNTED, COUNTED, "same"]
    assert "### What would let it through\nAny one of these, alone:\n- a volume of at least 7.156B" in comment
    assert (review.outcome, review.exit_code(False)) == (ReviewOutcome.BLOCK, 2)


def test_nodes_that_the_volume_needed_anyway_are_named_where_they_are_configured_now(reviewed: Reviewed) -> None:
    """12B tokens need 3 nodes: both sides cost 3 × $7,920 and $4,100 at that volume, and one of them rents 2."""
    told = lead(reviewed(config(3, volume=12e9), config(2, volume=12e9)))
    assert told.startswith(
        "**$27,860 a month** for 3 nodes, as before at this volume, but 3 nodes ($27,860 a month) are configured "
        "instead of 2 nodes ($19,940 a month)."
    )
    assert lead(reviewed(config(2), config(2))).startswith("**$19,940 a month** for 2 nodes, as before. ")


def test_bars_are_in_proportion(reviewed: Reviewed) -> None:
    """28 cells are the largest value: 35,780; 19,940 of it are 15.6 cells."""
    comment = render(reviewed(config(4), config(2)))
    bars = {line[:22].strip(): line[23:51].rstrip() for line in comment.splitlines() if "█" in line}
    assert bars["self-hosted, this PR"] == "█" * 28
    assert bars["self-hosted, previous"] == "█" * 15 + "▋"
    assert bars["break-even, this PR"] == "█" * 28


def test_what_passes_says_what_it_saves_and_what_would_block_it(reviewed: Reviewed) -> None:
    comment = render(reviewed(config(2), config(2)))
    assert "## ✅ PASS: `prod` saves $10,060 a month against the managed API\n" in comment
    assert "### What would block it\nAny one of these, alone:\n- a volume of at most 3.987B" in comment


def test_a_warning_is_counted_in_the_headline(reviewed: Reviewed) -> None:
    work = {"tokensPerMonth": 6e9, "kind": "asserted"}
    review = reviewed(config(workload=work))
    assert "## ⚠️ WARN: `prod` saves $10,060 a month against the managed API, with 1 warning\n" in render(review)
    assert (review.exit_code(False), review.exit_code(True)) == (0, 4)


def test_a_new_stack_has_nothing_to_compare_with(reviewed: Reviewed, project: Any) -> None:
    (project.folder / "README").write_text("empty")
    project.commit()
    project.write(config(2))
    review = Review(
        "prod", "stacks/config/Pulumi.prod.yaml", project.yardstick().today, project.side(), project.side("HEAD")
    )
    comment = render(review)
    assert "The stack is new: there is nothing at `HEAD` to compare with." in comment
    assert row(comment, "Nodes") == ["2"]
    assert "previous" not in comment
    assert "**$19,940 a month** for 2 nodes, all of it new. Nothing blocks it." in comment


def test_a_figure_that_odds_decide_says_so(reviewed: Reviewed) -> None:
    """Two volumes stand in one comment: the break-even of 35,780 / $5 = 7.156B, and the one that passes every rule."""
    comment = render(reviewed(config(4, uncertainty={"draws": 2000}), config(2)))
    passing = re.search(r"- a volume of at least (7\.\d+)B tokens/month \(\+\d.*?\); before that, (.*)\n", comment)
    assert passing is not None
    assert float(passing[1]) > 7.156
    assert passing[2] == "probability still blocks"
    assert "\nWhy not the break-even above? It counts the inputs as they are given." in comment
    assert "Why not the break-even" not in render(reviewed(config(4), config(2)))  # of a certain scenario


def test_a_block_by_odds_alone_says_how_likely_it_pays(reviewed: Reviewed) -> None:
    """At $3.33 it just pays at 6B, 19,980 against 19,940; a third node, which many draws need, does not."""
    cheaper = {"managed": {"usdPerMillionTokens": 3.33}, "uncertainty": {"draws": 2000}}
    review = reviewed(config(2, **cheaper), config(2))
    assert [finding.rule for finding in review.findings if finding.level == "BLOCK"] == ["probability"]
    assert re.search(r"## ⛔ BLOCK: `prod` is only 3\d(\.\d)? % likely to pay\n", render(review))


def test_what_changes_nothing_is_short(reviewed: Reviewed) -> None:
    """The figures are there for who asks for them; a block is never folded away."""
    comment = render(reviewed(config(2), config(2)))
    assert "**$19,940 a month** for 2 nodes, as before. Nothing blocks it." in comment
    assert comment.index("<details><summary>The figures, all as before</summary>") < comment.index("| Nodes")
    changed = Run(changes=(Change("update", "gpucloud:index:Node", "a"),))
    assert "all as before" not in render(reviewed(config(2), config(2), run=changed))
    assert "all as before" not in render(reviewed(config(4), config(4)))


def test_nodes_that_only_the_volume_asks_for_are_told(reviewed: Reviewed) -> None:
    """7B need ceil(7 / 6.7344) + 1 spare = 3 nodes: 3 × 7,920 + 4,100, of 2 that are configured."""
    comment = render(reviewed(config(2, volume=7e9), config(2)))
    assert "**$27,860 a month** for 3 nodes that the volume needs (2 configured), $7,920 more than before" in comment
    assert row(comment, "that the volume needs")[1] == "3"


def test_a_volume_of_which_a_part_is_displaced_shows_that_part(reviewed: Reviewed) -> None:
    """It is what break-even is compared with."""
    work = {"tokensPerMonth": 12e9, "kind": "measured", "peakToMean": 1.3}
    half = {"routes": [{"model": "api", "share": 0.5}, {"model": "gpt-4o", "share": 0.5, "displaced": False}]}
    comment = render(reviewed(config(2, workload=work, managed=half), config(2)))
    assert row(comment, "Projected volume") == ["6B", "12B", "+6B (+100 %)"]
    assert row(comment, "of which self-hosting serves")[1] == "6B"


def test_a_base_without_a_price_is_compared_as_far_as_it_goes(reviewed: Reviewed) -> None:
    """Its break-even has no figures at all."""
    rung = {"cloud": "nowhere", "sku": "unheard-of"}
    unpriced = {"nodes": {key: {"candidates": [{**rung, "region": key}]} for key in "ab"}}
    before = config(2, fleet=unpriced)
    comment = render(reviewed(config(2), before))
    assert row(comment, "Nodes") == ["2", "2", "0"]
    assert row(comment, "Break-even P50") == ["not known", "3.988B", "not comparable"]


def test_a_difference_of_shares_is_in_points(reviewed: Reviewed) -> None:
    """Of the figures that are shown; a percentage of a percentage would be read wrongly."""
    old, new = (config(nodes, uncertainty={"draws": 2000}) for nodes in (2, 4))
    before, after, change = row(render(reviewed(new, old)), "Probability that it pays")
    figures = [float(text.removesuffix(" %")) for text in (before, after)]
    assert change == f"-{figures[0] - figures[1]:.1f} points"


COUNTED = "usage, measured, 30 days to 2026-04-19 (csv) (2026-04-19)"
HOW_TO = (REPOSITORY / "docs" / "howto" / "pull-requests.md").read_text("utf-8")


def test_the_docs_show_what_is_printed(reviewed: Reviewed) -> None:
    """First lines of every kind of pull request, and the words that explain the figures."""
    codes = ("break-even", "horizon", "probability")
    both = waivers(*map(waiver, codes))
    expired = waivers(*(waiver(code, expires="2026-04-19") for code in codes))
    shown = [
        reviewed(config(4), config(2), waivers=both),
        reviewed(config(4), config(2), waivers=expired),
        reviewed(config(2), config(2)),
        reviewed(config(2, managed={"usdPerMillionToken": 5}), config(2)),
        reviewed(config(2), config(2), run=Run(failures=("boom",))),
        reviewed(config(4), config(2), run=None, untrusted=True),
    ]
    for review in shown:
        assert f"| {headline(review)}<br>{lead(review)} |" in HOW_TO
    for words in (*TERMS.values(), ODDS):
        assert words in HOW_TO


def test_terms_are_explained_where_they_are_used(reviewed: Reviewed) -> None:
    """Collapsed, at the end."""
    _, explained = render(reviewed(config(4), config(2))).split("<details><summary>How to read this</summary>")
    for term in ("Break-even for good", "P10, P50, P90", "Probability that it pays for good", "previous"):
        assert f"\n- **{term}**: " in explained
    assert "How to read this" not in render(reviewed(config(2, managed={}), config(2)))


def test_a_base_that_cannot_be_judged_does_not_stop_the_head(reviewed: Reviewed) -> None:
    broken = config(2, managed={"usdPerMillionToken": 5})
    comment = render(reviewed(config(2), broken))
    assert "✅ PASS" in comment
    assert "What was at `HEAD` cannot be judged: stacks/config/Pulumi.prod.yaml:" in comment


def test_what_cannot_be_evaluated_says_what_and_where(reviewed: Reviewed) -> None:
    review = reviewed(config(2, managed={"usdPerMillionToken": 5}), config(2))
    comment = render(review)
    assert "## ❓ CANNOT EVALUATE: `prod` cannot be judged, 1 error in `stacks/config/Pulumi.prod.yaml`" in comment
    assert re.search(r"Pulumi\.prod\.yaml:\d+: crossover:managed\.usdPerMillionToken: unknown key", comment)
    assert review.exit_code(False) == 3


def test_a_failed_program_is_not_called_a_violation(reviewed: Reviewed) -> None:
    review = reviewed(config(2), run=Run(failures=("Traceback\n```\nValueError: boom",)))
    comment = render(review)
    assert "## 💥 FAILED: the preview of `prod` did not run to its end (the cost gate alone says PASS)" in comment
    assert "this is no violation of a policy:**\n\n````text\nTraceback\n```\nValueError: boom\n````" in comment
    assert (review.outcome, review.exit_code(True)) == (ReviewOutcome.FAILED, 1)


def test_a_block_is_certain_even_where_the_program_failed(reviewed: Reviewed) -> None:
    review = reviewed(config(4), run=Run(failures=("boom",)))
    assert (review.outcome, review.exit_code(False)) == (ReviewOutcome.BLOCK, 2)
    assert "boom" in render(review)


def test_rules_that_were_not_in_force_block_by_name(reviewed: Reviewed) -> None:
    run = Run(weakened=(("budget", "disabled"), ("capacity", "downgraded to advisory")))
    review = reviewed(config(2), run=run)
    comment = render(review)
    assert "## ⛔ BLOCK: `prod` breaks rule-in-force\n" in comment
    assert "the mandatory rule budget was not in force: disabled." in comment
    assert "the mandatory rule capacity was not in force: downgraded to advisory." in comment
    assert "What would" not in comment
    assert review.exit_code(False) == 2


def test_what_the_verdict_says_anyway_is_not_told_twice(reviewed: Reviewed) -> None:
    """The pack's rules repeat the verdict's reasons; what only they know is told, with its resource."""
    known = PolicyViolation("break-even", "cost-guard", "mandatory", NODE, "BLOCK break-even: …")
    advisories = PolicyViolation("advisories", "cost-guard", "advisory", NODE, "WARN …")
    news = PolicyViolation("node-outside-fleet", "cost-guard", "mandatory", NODE, "this node is outside a Fleet")
    others = PolicyViolation("tags", "company", "advisory", NODE, "no owner")
    review = reviewed(config(4), run=Run(violations=(known, advisories, news, others)))
    told = [(finding.rule, finding.level) for finding in review.findings]
    assert sorted(told) == [
        ("break-even", "BLOCK"), ("company/tags", "WARN"), ("horizon", "BLOCK"), ("node-outside-fleet", "BLOCK"),
        ("probability", "BLOCK"),
    ]  # fmt: skip
    comment = render(review)
    assert "⛔ BLOCK: `prod` costs $5,780 a month more than the managed API and breaks node-outside-fleet" in comment
    assert "Any one of these, alone; node-outside-fleet would still block:" in comment


def test_a_violation_of_the_pack_alone_blocks(reviewed: Reviewed) -> None:
    """Also one of a code whose reason the verdict does not have: the pack is believed."""
    said = PolicyViolation("capacity", "cost-guard", "mandatory", NODE, "BLOCK capacity: too small")
    review = reviewed(config(2), run=Run(violations=(said,)))
    assert (review.outcome, [f.rule for f in review.findings]) == (ReviewOutcome.BLOCK, ["capacity"])


def test_a_rule_that_waits_for_up_is_no_warning(reviewed: Reviewed) -> None:
    review = reviewed(config(2), run=Run(deferred=(("monitoring-wired", "machine is not known"),)))
    assert review.outcome is ReviewOutcome.PASS
    assert "- ℹ️ **monitoring-wired** can only be judged in `up`: machine is not known" in render(review)


def test_resource_changes_are_counted_and_collapsed(reviewed: Reviewed) -> None:
    changes = (Change("create", "gpucloud:index:Node", "c"), Change("update", "x", "a", ("candidates", "generation")))
    comment = render(reviewed(config(2), run=Run(changes=changes)))
    assert "<details><summary>Resource changes: 1 to create, 1 to update</summary>" in comment
    assert "| ✏️ update | `a` | `x` | `candidates`, `generation` |" in comment
    assert "Machines that end" not in comment
    assert "No resource changes." in render(reviewed(config(2)))


def test_a_machine_that_ends_is_told_without_opening_anything(reviewed: Reviewed) -> None:
    """It may not be had again."""
    changes = (Change("replace", "gpucloud:index:Node", "a"), Change("delete", "gpucloud:index:Install", "b"))
    assert "\n**Machines that end:** `a`\n\n<details>" in render(reviewed(config(2), run=Run(changes=changes)))


def test_inputs_are_collapsed_with_source_and_age(reviewed: Reviewed) -> None:
    """The quotation is of 2026-03-26, the day of judgement 2026-04-20."""
    comment = render(reviewed(config(2)))
    line = next(line for line in comment.splitlines() if line.startswith("| `usdPerNodeMonth."))
    assert line.endswith("| 2026-03-26, 25 days old |")
    assert "| 2026-11-01, dated later than that |" in comment  # the throughput's row
    assert "7,920" in line
    assert QUOTED in line


def test_a_pull_request_that_moves_its_own_goalposts_is_told(reviewed: Reviewed) -> None:
    """A raised baseline, which does not count, and a changed price, which turns a block as well as a volume does."""
    approved = {"nodes": 4, "usdPerMonth": 35780, "approvedBy": "@boss", "date": "2026-04-01"}
    review = reviewed(
        config(4, baseline=approved), config(2), judges_changed=("policies/cost_guard/catalogue/data/prices.toml",)
    )
    comment = render(review)
    assert "## ⛔ BLOCK: `prod` costs $5,780 a month more than the managed API" in comment
    assert (
        "> 👀 **It does not approve itself:** this pull request gives itself a baseline of 4 nodes, $35,780/month, "
        "approved by @<!-- -->boss. There is none at HEAD, so none counts here: growth is judged in full. Make it pay, "
        "or have it waived" in comment
    )
    assert comment.count("gives itself a baseline") == 1
    assert "**It changes what judges it:** `policies/cost_guard/catalogue/data/prices.toml`." in comment


def test_types_that_the_stack_has_not_had_are_named_above_the_table(reviewed: Reviewed) -> None:
    text = render(reviewed(config(), config(), run=Run(new_types=("gpucloud:index:Helper",))))
    said = "> 👀 **It makes types of resources that this stack has not had:** `gpucloud:index:Helper`."
    assert said in text
    assert text.index(said) < text.index("| Nodes |")


def test_what_only_warns_in_a_program_that_is_not_ours_is_told(reviewed: Reviewed) -> None:
    """By its rule's name, from the pack's advisory rule; a line that only informs is left out."""
    told = [PolicyViolation("beside-nodes", "cost-guard", "advisory", "urn::it", text) for text in (
        "WARN type-allowed: nothing says what a:b:C costs", "beside the nodes are $7/month: 2 × a:b:C, $3.50 each",
    )]  # fmt: skip
    review = reviewed(config(), config(), run=Run(violations=tuple(told)))
    warned = [finding for finding in review.findings if finding.rule == "type-allowed"]
    assert [(one.level, one.message) for one in warned] == [("WARN", "it: nothing says what a:b:C costs")]
    assert "beside the nodes" not in render(review)


def test_a_baseline_that_is_lowered_is_told_and_one_that_stays_is_not(reviewed: Reviewed) -> None:
    """A later day does not make the fleet that runs a younger one."""
    approved = {"nodes": 4, "usdPerMonth": 35780, "approvedBy": "@boss", "date": "2026-02-01"}
    lower = {**approved, "nodes": 2, "usdPerMonth": 19940, "date": "2026-04-01"}
    said = "**It sets the approved baseline** to 2 nodes, $19,940/month, by @<!-- -->boss, for a fleet that runs since"
    assert f"{said} 2026-02-01." in render(reviewed(config(2, baseline=lower), config(2, baseline=approved)))
    same = render(reviewed(config(2, baseline=approved), config(2, baseline=approved)))
    assert "baseline**" not in same
    assert "approve itself" not in same


def waiver(policy: str = "break-even", stack: str = "prod", expires: str = "2026-06-01", **more: Any) -> dict[str, Any]:
    return {
        "policy": policy, "stack": stack, "owner": "ada", "approver": "grace", "reason": "for the migration",
        "ticket": "FIN-1", "created": "2026-04-01", "expires": expires, **more,
    }  # fmt: skip


def waivers(*entries: dict[str, Any]) -> Waivers:
    return parse_waivers(yaml.safe_dump(list(entries)), codes())


def test_a_valid_waiver_lets_it_through_and_is_shown(reviewed: Reviewed) -> None:
    """One that is void is told too; one for another stack is left out."""
    lifting = waivers(
        waiver(),
        waiver("horizon"),
        waiver("probability"),
        waiver("budget", costCapUsdPerMonth=20000),
        waiver(stack="staging-*"),
    )
    review = reviewed(config(4), config(2), waivers=lifting)
    comment = render(review)
    assert (review.outcome, review.exit_code(False), review.exit_code(True)) == (ReviewOutcome.WARN, 0, 4)
    assert "## ⚠️ WARN: `prod` costs $5,780 a month more" in comment
    assert "managed API, with break-even, horizon, probability waived\n" in comment
    assert "It passes by waiver alone: who approves it accepts what is marked 🎫." in comment
    assert comment.index("### Waivers") < comment.index("| Nodes")
    assert "Any one of these, alone, with the waivers as they are:\n- a volume of at least 38.49B" in comment
    assert "- 🎫 **break-even**: 6B tokens/month cost $35,780/month" in comment
    said = "for the migration (FIN-1); ada mends it, grace allows it until 2026-06-01"
    assert f"| break-even | used | {said} |" in comment
    assert f"| budget | void | {said}, void above $20,000/month |" in comment
    assert "staging" not in comment


def test_a_waiver_is_void_by_what_the_dearest_rung_costs(reviewed: Reviewed) -> None:
    """As the verdict has it: the state beside the reasons must not say that it counts."""
    one = reviewed(config(4), waivers=waivers(waiver(costCapUsdPerMonth=1_000_000)))
    assert one.verdict is not None
    assert [shown.state for shown in one.shown_waivers] == ["used"]
    dearer = replace(one.verdict, billed_usd_per_month=Decimal(1_000_001))
    assert [shown.state for shown in replace(one, head=replace(one.head, verdict=dearer)).shown_waivers] == ["void"]


def test_an_expired_waiver_does_not(reviewed: Reviewed) -> None:
    """The day is 2026-04-20."""
    review = reviewed(config(4), waivers=waivers(waiver(expires="2026-04-19"), waiver("probability")))
    comment = render(review)
    assert review.outcome is ReviewOutcome.BLOCK
    assert "| break-even | expired | for the migration" in comment
    assert "expired on 2026-04-19" in comment


def test_what_is_waived_of_rules_beside_the_verdict_is_told(reviewed: Reviewed) -> None:
    said = PolicyViolation(
        "advisories", "cost-guard", "advisory", NODE, "WAIVED spot-share: all is spot. Waived until …"
    )
    review = reviewed(config(2), run=Run(violations=(said,)))
    assert [(f.rule, f.level, f.message) for f in review.findings] == [
        ("spot-share", "WAIVED", "a: all is spot. Waived until …")
    ]
    assert review.outcome is ReviewOutcome.WARN


def test_a_forks_comment_is_labelled_and_claims_no_resource_diff(reviewed: Reviewed) -> None:
    comment = render(reviewed(config(4), config(2), run=None, untrusted=True))
    assert "## ⛔ BLOCK: `prod` costs $5,780 a month more than the managed API (no resource diff)\n" in comment
    assert "**No resource diff.**" in comment
    assert "Resource changes" not in comment
    assert "⛔ BLOCK" in comment


HOSTILE = "x`|<img src=x onerror=alert(1)>\n## PASS [a](http://evil.example) @all #1 www.evil.example **b** <!-- -->"


@pytest.mark.parametrize("whole", [True, False], ids=["of the verdict", "of an error"])
def test_names_from_a_configuration_stay_text(reviewed: Reviewed, whole: bool) -> None:
    """No HTML, link, mention, heading, reference or table cell is made of them."""
    rung = {"cloud": "local", "region": "r", "sku": HOSTILE, "standsFor": HOSTILE}
    fleet = {"nodes": {key: {"candidates": [{**rung, "region": key}]} for key in "ab"}}
    change = Change("create", f"type {HOSTILE}", HOSTILE, (HOSTILE,))
    broken = {"tokensPerMonth": HOSTILE}
    old = config(2) if whole else None
    new = config(2, fleet=fleet) if whole else config(2, workload=broken)
    comment = render(reviewed(new, old, run=Run(changes=(change,), violations=(
        PolicyViolation("capacity", "cost-guard", "mandatory", NODE, HOSTILE),))))  # fmt: skip
    outside_code = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", comment)
    for harm in ("<img", r"(?<!\\)\]\(", "@all", " #1", r"www\.evil", "\n## PASS", "://evil", r"(?<!\\)\*\*b"):
        assert not re.search(harm, outside_code), harm
    for line in comment.splitlines():
        if line.startswith("| ➕"):
            assert len(re.findall(r"(?<!\\)\|", line)) == 5


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("a_b*c", r"a\_b\*c"),
        ("1. item", r"1\. item"),
        ("# head", r"\# head"),
        ("- item", r"\- item"),
        ("-$17", "-$17"),
        ("two\nlines", "two lines"),
        ("&lt;b&gt;", "&amp;lt;b&amp;gt;"),
        ("see #12 and GH-3", "see #<!-- -->12 and GH-<!-- -->3"),
    ],
)
def test_text_is_shown_as_it_is(given: str, shown: str) -> None:
    assert markdown.text(given) == shown


@pytest.mark.parametrize(
    ("given", "shown"), [("a", "`a`"), ("a`b", "``a`b``"), ("`a", "`` `a ``"), ("a|b", "`a¦b`"), ("", "")]
)
def test_code_is_fenced_longer_than_its_backticks(given: str, shown: str) -> None:
    assert markdown.code(given) == shown


def test_a_comment_is_cut_at_githubs_size_from_its_end(reviewed: Reviewed) -> None:
    """The verdict, the table and the reasons stay; the collapsed parts stay closed; it says that it was cut."""
    changes = tuple(Change("create", "gpucloud:index:Node", f"node-{number}" * 3) for number in range(3000))
    comment = render(reviewed(config(4), config(2), run=Run(changes=changes)))
    assert len(comment) <= MOST_CHARACTERS
    assert comment.startswith("<!-- crossover:stack=prod -->\n## ⛔ BLOCK")
    assert row(comment, "Nodes") == ["2", "4", "+2"]
    assert "_Cut to GitHub's size: the resource changes. All of it is in `report.json`._" in comment
    assert "_Cut to GitHub's size: the inputs." in comment
    assert comment.count("<details>") == comment.count("</details>")
    assert comment.rstrip().endswith("</sub>")


def test_even_one_endless_failure_is_cut() -> None:
    """Nothing makes a comment that GitHub refuses."""
    sections = [Part(0, "the verdict", "<!-- m -->\n## x"), Part(1, "what went wrong", "line\n" * 50_000)]
    assert len(fit(sections, MOST_CHARACTERS)) <= MOST_CHARACTERS
    assert len(fit([Part(0, "the verdict", "x" * 100_000)], MOST_CHARACTERS)) <= MOST_CHARACTERS
