"""What the comment shows of figures: the table of both sides, bars, and what would turn the verdict."""

from __future__ import annotations

from decimal import Decimal

from cost_guard import wording
from scripts.crossover.review.comparison import BREAK_EVEN, SELF_HOSTED, VOLUME, Figure, Words, rows
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
        return "\n\n".join(part for part in (shown, _no_previous(review)) if part)
    header = ("", "previous", "this pull request", "difference")
    return markdown.table(header, [_cells(row) for row in found], numbers=True)


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
    scenario = review.head.scenario
    assert scenario is not None
    money = [("managed", verdict.managed_usd_per_month)]
    volumes = [("projected", scenario.displaced_tokens_per_month)]
    for name, one in (("previous", before), ("this PR", verdict)):
        if one is not None and one.self_hosted_usd_per_month is not None:
            money.append((f"self-hosted, {name}", one.self_hosted_usd_per_month))
        if one is not None and one.break_even.stable is not None:
            volumes.append((f"break-even, {name}", one.break_even.stable))
    parts = ["USD per month", *_bars(money, wording.usd), "", "tokens per month", *_bars(volumes, wording.tokens)]
    if verdict.break_even.stable is None:
        parts.append("break-even, this PR    none: no volume pays for good")
    return markdown.block("\n".join(parts))


def _bars(values: list[tuple[str, Decimal]], words: Words) -> list[str]:
    largest = max(value for _, value in values)
    return [f"{name:<22} {markdown.bar(value, largest):<{markdown.BAR_CELLS}} {words(value)}" for name, value in values]


def flips(review: Review) -> str:
    """What one input alone would turn; empty where something else would block all the same."""
    verdict = review.verdict
    if verdict is None:
        return ""
    levels = {finding.rule: finding.level for finding in review.findings if finding.level in ("BLOCK", "WAIVED")}
    others = [r for r in levels if levels[r] == "BLOCK" and r not in {reason.code for reason in verdict.reasons}]
    if others and not verdict.blocked:
        return ""
    heading = f"### What would {'let it through' if verdict.blocked else 'block it'}"
    if not review.flips:
        alone = "No change of volume, managed price or number of nodes alone lets it through."
        return f"{heading}\n{alone}" if verdict.blocked else ""
    waived = ", with the waivers as they are" if "WAIVED" in levels.values() else ""
    still = f"; {', '.join(map(markdown.text, sorted(others)))} would still block" if others else ""
    lines = [f"- {flip.words}{f'; {flip.decided_by}' if flip.decided_by else ''}" for flip in review.flips]
    why = ["", ODDS] if any(flip.rules == ("probability",) for flip in review.flips) else []
    return "\n".join([heading, f"Any one of these, alone{waived}{still}:", *lines, *why])
