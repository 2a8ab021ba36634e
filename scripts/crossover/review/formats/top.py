"""What the comment's first lines hold beside outcome and bill: the proposal, the alternatives, and who must agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatchcase

from cost_guard import wording
from cost_guard.scenario.scenario import Scenario
from cost_guard.scenario.sections.approval import Status
from cost_guard.verdict.verdict import Verdict
from scripts.crossover.review.formats import markdown
from scripts.crossover.review.review import Review

MOST_LINES = 15
"""In which a reviewer finds all of it, the marker counted: a test counts them."""
MOST_MODELS = 2
"""That have lines of their own; of more, the sums stand here and each one in `report.json`."""
OWNERS = ".github/CODEOWNERS"


def top(review: Review) -> str:
    """One line each; empty where nothing was judged."""
    verdict = review.verdict
    if verdict is None:
        return ""
    each = verdict.models or (verdict,)
    scenarios = [proposal.scenario for proposal in review.head.proposals.values()]
    lines = [("Proposal", "; ".join(map(_proposal, scenarios[:MOST_MODELS])) + _more(len(scenarios)))]
    lines.append(("Managed", _managed(verdict)))
    lines.append(("Same weights", "; ".join(map(_same_weights, each[:MOST_MODELS])) + _more(len(each))))
    lines.append(("Verdict", _verdict(review, verdict)))
    lines.append(("Must agree", "; ".join(dict.fromkeys(_who(review))) or "nobody but a reviewer"))
    return "\n".join(f"- **{name}**: {words}" for name, words in lines)


def _more(models: int) -> str:
    return f"; {models - MOST_MODELS} more models" if models > MOST_MODELS else ""


def _proposal(scenario: Scenario) -> str:
    """ "2 nodes (2 × lambda/gpu) for 6B tokens a month of meta-llama/Llama-3.3-70B-Instruct"."""
    first = Counter(f"{ladder[0].cloud}/{ladder[0].sku}" for ladder in scenario.fleet.ladders.values())
    kinds = ", ".join(f"{number} × {markdown.code(key)}" for key, number in sorted(first.items()))
    of = f" of {markdown.text(scenario.workload.model)}" if scenario.workload.model else ""
    nodes = wording.count(scenario.fleet.node_count, "node") + (f" ({kinds})" if kinds else "")
    return f"{nodes} for {wording.tokens(scenario.displaced_tokens_per_month)} tokens a month{of}"


def _managed(verdict: Verdict) -> str:
    if verdict.managed_usd_per_month is None:
        return "not known"
    price = verdict.managed_usd_per_million
    at = "" if price is None else f" at {wording.per_million(price)}"
    ours, theirs = verdict.tco.self_hosted_usd, verdict.tco.managed_usd
    over = ""
    if ours is not None and theirs is not None:
        months = wording.count(verdict.tco.months, "month")
        sums = [wording.usd(usd.quantize(1)) for usd in (theirs, ours)]
        over = f"; over {months} {sums[0]} against {sums[1]} self-hosted"
    return f"**{wording.usd(verdict.managed_usd_per_month)} a month**{at}{over}"


def _same_weights(verdict: Verdict) -> str:
    same = verdict.same_weights
    if same is None:
        return "no API is known that serves them"
    month = "" if same.usd_per_month is None else f"**{wording.usd(same.usd_per_month)} a month** at "
    return f"{month}{wording.per_million(same.usd_per_million)}, {markdown.text(same.model)}"


def _verdict(review: Review, verdict: Verdict) -> str:
    """The level of the whole, what decides it, and what would be cheapest."""
    levels = ("ERROR", "BLOCK", "WAIVED", "WARN")
    worst = next((level for level in levels if any(f.level == level for f in review.findings)), "")
    codes = dict.fromkeys(finding.rule for finding in review.findings if finding.level == worst)
    named = f" for {', '.join(map(markdown.text, codes))}" if codes else ""
    best = f"; cheapest that is allowed: {verdict.recommendation}" if verdict.recommendation else ""
    return f"{review.outcome}{named}{best}"


def _who(review: Review) -> Iterator[str]:
    """Those whose word it takes, each with what for."""
    if review.judges_changed:
        yield f"the owners in {markdown.code(OWNERS)}, for what judges it"
    own, before = review.head.own_baseline, review.approved
    if own is None and before is not None and before.baseline is not None:
        yield f"{markdown.text(before.baseline.approved_by)}, for the baseline that it removes"
    if own is not None and before is not None and own != before.baseline:
        yield f"{markdown.text(own.approved_by)}, for the baseline"
    waived = {finding.rule for finding in review.findings if finding.level == "WAIVED"}
    stack, verdict = review.stack.rpartition("/")[2], review.verdict
    cost = verdict.billed_usd_per_month if verdict else None
    for waiver in review.waivers.entries:
        valid = waiver.policy in waived and waiver.status(review.today, cost) is Status.VALID
        if valid and fnmatchcase(stack, waiver.stack):
            yield f"{markdown.text(waiver.approver)}, who waives {markdown.text(waiver.policy)}"
    for proposal in review.head.proposals.values():
        word = proposal.scenario.managed.not_same_weights
        if word is not None and word.holds(review.today):
            yield f"{markdown.text(word.approved_by)}, for notSameWeights"
    blocked = dict.fromkeys(finding.rule for finding in review.findings if finding.level == "BLOCK")
    if blocked:
        yield f"an approver of waivers, unless it is mended, for {', '.join(map(markdown.text, blocked))}"
