"""What the comment shows of figures: the table of both sides, bars, and what would turn the verdict."""

from __future__ import annotations

from decimal import Decimal

from cost_guard import wording
from cost_guard.codes import Level
from cost_guard.scenario.proposal import Proposal
from cost_guard.verdict.verdict import Verdict
from scripts.crossover.review.comparison import (
    BREAK_EVEN,
    SELF_HOSTED,
    UNKNOWN,
    VOLUME,
    Figure,
    displaced_tokens_per_month,
    rows,
)
from scripts.crossover.review.formats import markdown
from scripts.crossover.review.review import Review

ODDS = (
    "Why not the break-even above? It counts the inputs as they are given. `probability` varies them at random and "
    "asks that at least half of the draws pay; where it decides, the figure is another one."
)


def together(review: Review) -> str:
    """All of them."""
    return "\n\n".join(part for part in (table(review), chart(review), flips(review)) if part)


def table(review: Review) -> str:
    """Each figure before and after; empty without a verdict."""
    head, base = review.head, review.base
    if head.verdict is None:
        return ""
    found = rows(head, base)
    if base is None or base.verdict is None:
        shown = markdown.table(("", "this pull request"), [_cells(row)[::2] for row in found], numbers=True)
        return "\n\n".join(part for part in (models(review), shown, _no_previous(review)) if part)
    header = ("", "previous", "this pull request", "difference")
    shown = markdown.table(header, [_cells(row) for row in found], numbers=True)
    return "\n\n".join(part for part in (models(review), shown) if part)


def models(review: Review) -> str:
    """Each of several served models, a line, with what was before where that differs; empty where there is one."""
    verdict, base = review.verdict, review.base
    if verdict is None or not verdict.models:
        return ""
    before = {} if base is None or base.verdict is None else {one.name: one for one in base.verdict.models}
    earlier = {} if base is None else base.proposals
    lines = []
    for one in verdict.models:
        now, was = _of_model(one, review.head.proposals[one.name]), None
        if one.name in before and one.name in earlier:
            was = _of_model(before[one.name], earlier[one.name])
        cells = [
            new if was is None or old == new else f"{old} → {new}" for new, old in zip(now, was or now, strict=True)
        ]
        lines.append((markdown.code(one.name), *map(markdown.text, cells)))
    header = ("model", "nodes", "tokens a month", "self-hosted, USD", "managed, USD", "same weights, USD",
              "break-even for good", "verdict")  # fmt: skip
    return f"{markdown.table(header, lines, numbers=True)}\n\nAll together:"


def _of_model(verdict: Verdict, proposal: Proposal) -> tuple[str, ...]:
    same, stable = verdict.same_weights, verdict.break_even.stable
    codes = ", ".join(reason.code for reason in verdict.reasons if reason.level is Level.BLOCK)
    return (
        str(proposal.scenario.fleet.node_count),
        wording.tokens(proposal.scenario.displaced_tokens_per_month),
        _usd(verdict.self_hosted_usd_per_month),
        _usd(verdict.managed_usd_per_month),
        "none known" if same is None else _usd(same.usd_per_month),
        "none" if stable is None else wording.tokens_from(stable),
        f"{verdict.level}{f' for {codes}' if codes else ''}",
    )


def _usd(value: Decimal | None) -> str:
    return UNKNOWN if value is None else wording.usd(value)


def _cells(row: Figure) -> tuple[str, str, str, str]:
    name = f"**{row.name}**" if row.name in (SELF_HOSTED, VOLUME, BREAK_EVEN) else row.name
    return name, markdown.text(row.previous), markdown.text(row.new), markdown.text(row.difference)


def _no_previous(review: Review) -> str:
    if review.base is None:
        return ""
    if not review.base.errors:
        return f"The stack is new: there is nothing at {markdown.code(review.base.name)} to compare with."
    lines = "; ".join(markdown.text(line) for line in review.base.errors)
    return f"What was at {markdown.code(review.base.name)} cannot be judged: {lines}"


def chart(review: Review) -> str:
    """Bars of text: they are shown by GitHub's page, application and mails alike, in light and in dark."""
    verdict = review.verdict
    if verdict is None or verdict.self_hosted_usd_per_month is None or verdict.managed_usd_per_month is None:
        return ""
    before = review.base.verdict if review.base else None
    served = displaced_tokens_per_month(review.head)
    money = [("managed", verdict.managed_usd_per_month, wording.usd(verdict.managed_usd_per_month))]
    volumes = [("projected", served, wording.tokens(served))]
    for name, one in (("previous", before), ("this PR", verdict)):
        if one is not None and one.self_hosted_usd_per_month is not None:
            cost = one.self_hosted_usd_per_month
            money.append((f"self-hosted, {name}", cost, wording.usd(cost)))
        if one is not None and one.break_even.stable is not None:
            stable = one.break_even.stable
            volumes.append((f"break-even, {name}", stable, wording.tokens_from(stable)))
    parts = ["USD per month", *_bars(money)]
    if verdict.models:  # each has a break-even of its own
        return markdown.block("\n".join(parts))
    parts += ["", "tokens per month", *_bars(volumes)]
    if verdict.break_even.stable is None:
        parts.append("break-even, this PR    none: no volume pays for good")
    return markdown.block("\n".join(parts))


def _bars(values: list[tuple[str, Decimal, str]]) -> list[str]:
    largest = max(value for _, value, _ in values)
    return [f"{name:<22} {markdown.bar(value, largest):<{markdown.BAR_CELLS}} {words}" for name, value, words in values]


def flips(review: Review) -> str:
    """What one input alone would turn; empty where something else would block all the same."""
    verdict = review.verdict
    if verdict is None:
        return ""
    levels = {finding.rule: finding.level for finding in review.findings if finding.level in ("BLOCK", "WAIVED")}
    others = [r for r in levels if levels[r] == "BLOCK" and r not in {reason.code for reason in verdict.reasons}]
    if others and not verdict.blocked:
        return ""
    mends = "mend it" if review.inherited else "let it through"
    heading = f"### What would {mends if verdict.blocked else 'block it'}"
    if not review.flips:
        alone = "No change of volume, managed price or number of nodes alone lets it through."
        return f"{heading}\n{alone}" if verdict.blocked else ""
    waived = ", with the waivers as they are" if "WAIVED" in levels.values() else ""
    still = f"; {', '.join(map(markdown.text, sorted(others)))} would still block" if others else ""
    lines = [f"- {flip.words}{f'; {flip.decided_by}' if flip.decided_by else ''}" for flip in review.flips]
    why = ["", ODDS] if any(flip.rules == ("probability",) for flip in review.flips) else []
    needed = "Any one of these, alone"
    if verdict.blocked and (blocked := [one.name for one in verdict.models if one.blocked])[1:]:
        needed = "Each model that blocks needs one of its own, alone"
        stuck = [name for name in blocked if all(flip.model != name for flip in review.flips)]
        lines += [f"- {name}: no change of volume, managed price or number of nodes alone" for name in stuck]
    return "\n".join([heading, f"{needed}{waived}{still}:", *lines, *why])
