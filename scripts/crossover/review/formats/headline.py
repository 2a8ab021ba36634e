"""What a reviewer reads first: the outcome, the bill, and what approving would mean."""

from __future__ import annotations

from decimal import Decimal

from cost_guard import wording
from cost_guard.codes import Level
from scripts.crossover.review.comparison import node_count, nodes_needed, saved_usd_per_month
from scripts.crossover.review.formats import markdown
from scripts.crossover.review.review import Review, ReviewOutcome
from scripts.crossover.stack.verdict import Side

SIGNS = {
    ReviewOutcome.PASS: "✅",
    ReviewOutcome.WARN: "⚠️",
    ReviewOutcome.BLOCK: "⛔",
    ReviewOutcome.CANNOT_EVALUATE: "❓",
    ReviewOutcome.FAILED: "💥",
}


def headline(review: Review) -> str:
    """The outcome and the money, in one line."""
    words = {
        ReviewOutcome.CANNOT_EVALUATE: _not_evaluated,
        ReviewOutcome.FAILED: _failed,
        ReviewOutcome.BLOCK: _blocked,
    }.get(review.outcome, _let_through)(review)
    label = " (no resource diff)" if review.untrusted else ""
    return f"{SIGNS[review.outcome]} {review.outcome}: {words}{label}"


def _name(review: Review) -> str:
    return markdown.code(review.stack.rpartition("/")[2])


def _not_evaluated(review: Review) -> str:
    if review.removed:
        return f"this pull request removes the configuration of {_name(review)}"
    errors = review.head.errors
    here = all(line.startswith(f"{review.path}:") for line in errors)
    where = f" in {markdown.code(review.path)}" if here else ""
    return f"{_name(review)} cannot be judged, {wording.count(len(errors), 'error')}{where}"


def _failed(review: Review) -> str:
    gate = review.verdict.level if review.verdict else "unknown"
    return f"the preview of {_name(review)} did not run to its end (the cost gate alone says {gate})"


def _blocked(review: Review) -> str:
    codes, money, likely = _codes(review, "BLOCK"), _money(review), _likely(review)
    if review.verdict is not None and not review.verdict.blocked and review.scales is not None:
        by_base = [reason.code for reason in review.scales.worse_than(review.verdict) if reason.level is Level.BLOCK]
        if by_base:
            return f"{_name(review)} pays by its own figures alone; by the base's it breaks {', '.join(by_base)}"
    said = []
    if money and "break-even" in codes:
        said.append(money)
    elif likely and "probability" in codes:
        said.append(f"is only {likely} likely to pay")
    broken = [markdown.text(code) for code in codes if not said or code not in ("break-even", "horizon", "probability")]
    said += ["breaks " + ", ".join(broken)] if broken else []
    return f"{_name(review)} {' and '.join(said)}"


def _let_through(review: Review) -> str:
    waived, warned = _codes(review, "WAIVED"), _codes(review, "WARN")
    told = [f"{', '.join(map(markdown.text, waived))} waived"] if waived else []
    told += [wording.count(len(warned), "warning")] if warned else []
    money = "makes no Fleet" if review.judges_nothing else _money(review) or "cannot be priced"
    too = f"; its base is blocked too, for {', '.join(sorted(review.inherited))}" if review.inherited else ""
    return f"{_name(review)} {money}{', with ' if told else ''}{' and '.join(told)}{too}"


def _codes(review: Review, level: str) -> list[str]:
    return list(dict.fromkeys(finding.rule for finding in review.findings if finding.level == level))


def _money(review: Review) -> str:
    saved = saved_usd_per_month(review.head)
    if saved is None:
        return ""
    if saved < 0:
        return f"costs {wording.usd(-saved)} a month more than the managed API"
    return f"saves {wording.usd(saved)} a month against the managed API"


def _likely(review: Review) -> str:
    share = review.verdict.break_even.probability_pays if review.verdict else None
    return "" if share is None else wording.percent(Decimal(str(share)))


def lead(review: Review) -> str:
    """The bill before and after, and what the check does, in a paragraph."""
    return " ".join(part for part in (_bill(review), _consequence(review)) if part)


def _bill(review: Review) -> str:
    """ "**$35,780 a month** for 4 nodes, $15,840 more than before ($19,940 for 2 nodes)."."""
    base, now = review.base, _cost(review.head)
    before = None if base is None else _cost(base)
    if review.removed and base is not None and before is not None:
        return f"It was **{wording.usd(before)} a month** for {_nodes(base)}."
    if now is None:
        return ""
    text = f"**{wording.usd(now)} a month** for {_nodes(review.head)}"
    if before is None or base is None:
        new = base is not None and base.config is None and not base.errors
        return f"{text}, {'all of it new' if new else 'overhead included'}."
    if now == before:
        return f"{text}, as before{_configured(review.head, base)}."
    change = f"{wording.usd(abs(now - before))} {'more' if now > before else 'less'} than before"
    return f"{text}, {change} ({wording.usd(before)} for {_nodes(base)})."


def _configured(now: Side, before: Side) -> str:
    """What is rented whatever the volume, where that differs though the volume needs as many nodes on both sides."""
    after, earlier = _rented(now), _rented(before)
    if after == earlier or None in (after, earlier):
        return ""
    return f" at this volume, but {after} are configured instead of {earlier}"


def _rented(side: Side) -> str | None:
    """ "4 nodes ($35,780 a month)"."""
    usd = side.verdict.fixed_usd_per_month if side.verdict else None
    return None if usd is None else f"{wording.count(node_count(side), 'node')} ({wording.usd(usd)} a month)"


def _cost(side: Side) -> Decimal | None:
    return side.verdict.self_hosted_usd_per_month if side.verdict else None


def _nodes(side: Side) -> str:
    """Those that the cost is of: what the volume needs may be more than what is configured."""
    if side.verdict is None or not side.proposals:
        return "nodes"
    count, models = node_count(side), len(side.proposals)
    needed = nodes_needed(side) or count
    configured = f" that the volume needs ({count} configured)" if needed > count else ""
    return f"{wording.count(needed, 'node')}{configured}{f' of {models} models' if models > 1 else ''}"


def _consequence(review: Review) -> str:
    if review.outcome is ReviewOutcome.BLOCK:
        return "The check fails until what is marked ⛔ is mended or, where its rule allows that, waived."
    if review.outcome is ReviewOutcome.FAILED:
        return "The check fails, and the figures are the cost gate's alone: not every rule on resources was asked."
    if review.outcome is ReviewOutcome.CANNOT_EVALUATE:
        return "The check fails: without a verdict nothing was previewed."
    if _codes(review, "WAIVED"):
        return "It passes by waiver alone: who approves it accepts what is marked 🎫."
    if review.outcome is ReviewOutcome.WARN and review.inherited:
        return "Nothing new blocks it. What blocks its base too keeps `up` refused until it is mended or waived."
    if review.outcome is ReviewOutcome.WARN:
        return "Nothing blocks it; read what is marked ⚠️ before you approve it."
    return "Of what was asked, nothing blocks it." if review.untrusted else "Nothing blocks it."
