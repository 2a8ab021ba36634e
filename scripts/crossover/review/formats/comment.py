"""The comment on a pull request: the verdict in one line, then what a reviewer with the bill to pay asks next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from cost_guard import wording
from cost_guard.verdict.rules.probability import EVEN_ODDS, LIKELY
from scripts.crossover.review.comparison import rows
from scripts.crossover.review.formats import figures, markdown
from scripts.crossover.review.formats.headline import headline, lead
from scripts.crossover.review.formats.top import top
from scripts.crossover.review.formats.weighed import changed, meaning, weighed
from scripts.crossover.review.review import Review, ReviewOutcome
from scripts.crossover.review.rules import CONFIGURATION, OWN_BASELINE, PROGRAM
from scripts.crossover.stack import approval
from scripts.crossover.stack.state import MACHINES
from strict.names import STACK

MOST_CHARACTERS = 64_000
"""GitHub refuses a comment above 65,536."""
LEVEL_SIGNS = {"BLOCK": "⛔", "WAIVED": "🎫", "WARN": "⚠️", "ERROR": "💥"}
OPS = {"create": "➕ create", "update": "✏️ update", "delete": "➖ delete", "replace": "♻️ replace"}
ENDS = ("delete", "replace")
"""A machine may not be had again: a reviewer is told of one that goes without opening anything."""
TERMS = {
    "Self-hosted": "nodes and overhead (engineer, monitoring, storage and network) for as many nodes as the projected "
    "volume needs, at least those that are configured.",
    "Managed": "what the managed API that is replaced bills for the same tokens.",
    "Projected volume": "tokens that are to be served, input and output together. *Asserted* is somebody's word, "
    "*forecast* a reckoning, *measured* comes from usage data.",
    "Break-even for good": "the volume from which self-hosting costs no more than the managed API, there and at every "
    "larger volume, with all inputs as they are given. A volume below it may pay too, until a further node is needed.",
    "P10, P50, P90": "the same break-even with throughput, managed price and overhead drawn at random around what is "
    "given, thousands of times.",
    "Probability that it pays for good": "the share of those draws in which the volume, drawn as well, reaches the "
    f"break-even of the draw. `probability` warns below {100 * LIKELY:g} %, and blocks where it pays at all in fewer "
    f"than {100 * EVEN_ODDS:g} %.",
    "⛔ ⚠️ 🎫 ℹ️": "blocks; warns; would block, but a waiver lets it through; to know.",
}
UNTRUSTED = (
    "**No resource diff.** This is a pull request from a fork: only its configuration was read, as data. Its program "
    "was not run, and nothing of it was near a secret. Rules on resources were not asked."
)


@dataclass(frozen=True)
class Part:
    """A part of the comment. Those with the highest `rank` are cut first, from their ends."""

    rank: int
    what: str
    text: str


def render(review: Review) -> str:
    """The whole comment, at most MOST_CHARACTERS long."""
    return fit([section for section in _sections(review) if section.text], MOST_CHARACTERS)


def fit(sections: list[Part], limit: int) -> str:
    """Joins the sections, cutting the least important ones at a line's end, and says what was cut."""
    texts = [section.text for section in sections]
    for index in sorted(range(len(sections)), key=lambda i: sections[i].rank, reverse=True):
        excess = len(_joined(texts)) - limit
        if excess <= 0:
            break
        note = f"_Cut to GitHub's size: {sections[index].what}. All of it is in `report.json`._"
        kept = texts[index][: max(0, len(texts[index]) - excess - len(note) - 40)]
        kept = kept[: kept.rfind("\n") + 1] if sections[index].rank else kept
        tail = "\n\n</details>" if kept.count("<details>") > kept.count("</details>") else ""
        texts[index] = f"{kept.rstrip()}{tail}\n\n{note}".strip()
    return _joined(texts)


def _joined(texts: list[str]) -> str:
    return "\n\n".join(texts) + "\n"


def _sections(review: Review) -> Iterator[Part]:
    yield Part(
        0,
        "the verdict",
        "\n\n".join(filter(None, (f"{review.marker}\n## {headline(review)}", lead(review), top(review)))),
    )
    if review.untrusted:
        yield Part(0, "the notice", UNTRUSTED)
    yield Part(1, "what judges it", _judges(review))
    yield Part(1, "the base's scales", weighed(review))
    yield Part(2, "what changes", meaning(review))
    yield Part(3, "the figures that it changes", changed(review))
    yield Part(1, "what went wrong", "\n\n".join(_errors(review)))
    yield Part(2, "the reasons", _reasons(review, "BLOCK", "WAIVED") or _lead(review))
    yield Part(4, "waivers", _waivers(review))
    if _unchanged(review):
        yield Part(3, "the figures", markdown.details("The figures, all as before", figures.together(review)))
    else:
        yield Part(2, "the comparison", figures.table(review))
        yield Part(3, "the chart", figures.chart(review))
        yield Part(3, "what would turn the verdict", figures.flips(review))
    yield Part(4, "the warnings", _warnings(review))
    yield Part(5, "the resource changes", _changes(review))
    yield Part(6, "the inputs", _inputs(review))
    yield Part(3, "how to read it", _reading(review))
    yield Part(1, "the end", _end(review))


def _end(review: Review) -> str:
    compared = f" · compared with {markdown.code(review.base.name)}" if review.base else ""
    return f"<sub>crossover preview · judged as of {review.today}{compared}</sub>"


def _judges(review: Review) -> str:
    """What a pull request must not slip in beside what it is about."""
    said = [_new_baseline(review)]
    if review.judges_changed:
        names = ", ".join(map(markdown.code, review.judges_changed[:8]))
        more = f" and {len(review.judges_changed) - 8} more" if len(review.judges_changed) > 8 else ""
        base = " None of its code was run: the base's judged." if review.untrusted else ""
        said.append(f"**It changes what judges it:** {names}{more}.{base}")
    if review.run is not None and review.run.new_types:
        kinds = ", ".join(map(markdown.code, review.run.new_types[:8]))
        more = f" and {len(review.run.new_types) - 8} more" if len(review.run.new_types) > 8 else ""
        said.append(f"**It makes types of resources that this stack has not had:** {kinds}{more}.")
    return "\n>\n".join(f"> 👀 {line}" for line in said if line)


def _new_baseline(review: Review) -> str:
    """Where the pull request itself changes what counts as approved."""
    if raised := [finding.message for finding in review.findings if finding.rule == OWN_BASELINE]:
        return f"**It does not approve itself:** {markdown.text(raised[0])}"
    own, counted, before = review.head.own_baseline, review.head.baseline, review.approved
    if own is None and before is not None and before.baseline is not None and review.verdict is not None:
        return f"**It removes the approved baseline** of {approval.words(before.baseline)}. {approval.REMOVED}"
    if own is None or counted is None or before is None or own == before.baseline:
        return ""
    since = f", for a fleet that runs since {counted.date}" if counted.date != own.date else ""
    money = f"{approval.words(own)}, by {markdown.text(own.approved_by)}"
    return f"**It sets the approved baseline** to {money}{since}."


def _errors(review: Review) -> Iterator[str]:
    broken = [finding.message for finding in review.findings if finding.rule == CONFIGURATION]
    if broken:
        yield "\n".join(f"- {markdown.text(line)}" for line in broken)
    failed = [finding.message for finding in review.findings if finding.rule == PROGRAM]
    if failed:
        yield "**The program or the engine failed; this is no violation of a policy:**"
        yield from (markdown.block(message) for message in failed)


def _unchanged(review: Review) -> bool:
    """Nothing for a reviewer to weigh: no figure differs, no resource changes, and nothing blocks."""
    if (
        review.base is None
        or review.base.verdict is None
        or review.outcome not in (ReviewOutcome.PASS, ReviewOutcome.WARN)
    ):
        return False
    changes = review.run.changes if review.run else ()
    return not changes and all(row.previous == row.new for row in rows(review.head, review.base))


def _lead(review: Review) -> str:
    return "" if review.verdict is None else markdown.text(review.verdict.summary)


def _reasons(review: Review, *levels: str) -> str:
    elsewhere = (CONFIGURATION, OWN_BASELINE, PROGRAM)
    told = [finding for finding in review.findings if finding.level in levels and finding.rule not in elsewhere]
    return "\n".join(
        f"- {LEVEL_SIGNS[finding.level]} **{markdown.text(finding.rule)}**: {markdown.text(finding.message)}"
        for finding in told
    )


def _warnings(review: Review) -> str:
    """What does not decide, and what the figures rest on."""
    notes = "" if review.verdict is None else "\n".join(f"- ℹ️ {markdown.text(note)}" for note in review.verdict.notes)
    later = "\n".join(
        f"- ℹ️ **{markdown.text(rule)}** can only be judged in `up`: {markdown.text(why)}"
        for rule, why in (review.run.deferred if review.run else ())
    )
    told = "\n".join(part for part in (_reasons(review, "WARN"), notes, _no_baseline(review), later) if part)
    return f"### Know before you approve\n{told}" if told else ""


def _no_baseline(review: Review) -> str:
    """What follows for a stack that has been there, and of which nobody has said since when it runs."""
    if review.verdict is None or review.base is None or not review.base.proposals or review.approved is None:
        return ""
    if review.head.own_baseline is not None or review.approved.baseline is not None or not review.approved.readable:
        return ""
    return (
        "- ℹ️ The stack has no `baseline`: its fleet counts as bought now. However long it runs, an asserted volume "
        "only warns, and a repair is judged as growth is."
    )


def _waivers(review: Review) -> str:
    if not review.shown_waivers:
        return ""
    shown = [(markdown.text(w.policy), markdown.text(w.state), markdown.text(w.text)) for w in review.shown_waivers]
    return "### Waivers\n" + markdown.table(("rule", "state", "waiver"), shown)


def _changes(review: Review) -> str:
    if review.run is None or review.untrusted:
        return ""
    changes = review.run.changes
    if not changes:
        return "" if review.run.failures else "No resource changes."
    counts = {op: sum(change.op == op for change in changes) for op in dict.fromkeys(c.op for c in changes)}
    shown = [
        (
            OPS.get(change.op, markdown.text(change.op)),
            markdown.code(change.name),
            markdown.code(change.type),
            ", ".join(map(markdown.code, change.keys)),
        )
        for change in changes
    ]
    summary = "Resource changes: " + ", ".join(f"{number} to {op}" for op, number in counts.items())
    if review.run.failures:
        summary += ", as far as the preview came"
    gone = [markdown.code(change.name) for change in changes if change.type in MACHINES and change.op in ENDS]
    if any(change.type == STACK and change.op == "create" for change in changes):
        summary += " (nothing of this stack is up yet where the preview looked)"
    warning = f"**Machines that end:** {', '.join(gone)}\n\n" if gone else ""
    return warning + markdown.details(summary, markdown.table(("", "name", "type", "inputs that differ"), shown))


def _inputs(review: Review) -> str:
    verdict = review.verdict
    if verdict is None:
        return ""
    shown = []
    for name, given in verdict.inputs.items():
        age = "" if given.date is None else f"{given.date}, {_age(given.date, review.today)}"
        shown.append((markdown.code(name), markdown.text(given.words), markdown.text(given.source), age))
    body = markdown.table(("input", "value", "source", "of"), shown)
    return markdown.details("Inputs, their sources and ages", body)


def _age(day: date, today: date) -> str:
    return "dated later than that" if day > today else wording.count((today - day).days, "day") + " old"


def _reading(review: Review) -> str:
    """For one who has never read the docs."""
    if review.verdict is None:
        return ""
    told = dict(TERMS)
    if review.base is not None and review.base.verdict is not None:
        told["previous"] = (
            f"the configuration at {markdown.code(review.base.name)}, judged as of the same day with the prices there."
        )
    return markdown.details("How to read this", "\n".join(f"- **{term}**: {meaning}" for term, meaning in told.items()))
