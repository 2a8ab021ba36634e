"""What a reviewer must know of a pull request that changes what it is weighed by."""

from __future__ import annotations

from cost_guard.codes import Level
from cost_guard.verdict.verdict import Verdict
from scripts.crossover.review.formats import markdown
from scripts.crossover.review.meant import meant
from scripts.crossover.review.review import Review

MOST_OPEN = 12
"""More changed figures than these are folded."""


def weighed(review: Review) -> str:
    """Both verdicts, by its own scales and by the base's, and which counts; empty where there is one alone."""
    scales = review.scales
    if scales is None or scales.verdict is None or review.verdict is None:
        return ""
    buys = ", ".join(map(markdown.text, scales.buys))
    new = review.base is None or not review.base.proposals
    if not scales.buys:
        begun = "**It changes what it is weighed by, and buys no more.** Its own figures count."
    elif new:
        begun = "**The base has no figures to weigh it by:** its own count, with the base's prices and waivers."
    else:
        begun = f"**It changes what it is weighed by, and buys more** ({buys}): it is judged by both, the worse counts."
    own, base = _said(review.verdict), _said(scales.verdict)
    return f"> ⚖️ {begun} By its own: {own}\n>\n> By the base's: {base}"


def meaning(review: Review) -> str:
    """What changes beside the figures, in words."""
    found = meant(review.head, review.base)
    lines = [f"- {one.what}: {_value(one.before, one.unsaid)} → {_value(one.now, one.unsaid)}" for one in found]
    return "\n".join(["**What changes for who uses it or pays for it:**", *lines]) if lines else ""


def _value(text: str, unsaid: str) -> str:
    return markdown.code(text) if text else unsaid


def changed(review: Review) -> str:
    """Each figure that differs, with both values."""
    scales = review.scales
    if scales is None or not scales.changed:
        return ""
    new = review.base is None or not review.base.proposals
    title = (
        "Figures that are kinder than their defaults, or new" if new else "Figures that it is weighed by, and changes"
    )
    header = ("figure", "default" if new else "base", "this pull request")
    rows = [(markdown.code(f.key), markdown.text(f.before), markdown.text(f.now)) for f in scales.changed]
    body = markdown.table(header, rows)
    return f"**{title}**\n\n{body}" if len(rows) <= MOST_OPEN else markdown.details(f"{title} ({len(rows)})", body)


def _said(verdict: Verdict) -> str:
    codes = ", ".join(reason.code for reason in verdict.reasons if reason.level is Level.BLOCK)
    return f"**{verdict.level}**{f' for {codes}' if codes else ''}. {markdown.text(verdict.headline)}"
