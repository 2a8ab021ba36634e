"""The comment on a pull request: the verdict in one line, then what a reviewer with the bill to pay asks next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from cost_guard import wording
from cost_guard.verdict import Verdict

from scripts.crossover.preview import markdown
from scripts.crossover.preview.comparison import Row, Words, rows
from scripts.crossover.preview.review import CONFIGURATION, PROGRAM, Outcome, Review
from scripts.crossover.stack import INSTANCE, NODE

MOST_CHARACTERS = 64_000
"""GitHub refuses a comment above 65,536."""
SIGNS = {
    Outcome.PASS: "✅",
    Outcome.WARN: "⚠️",
    Outcome.BLOCK: "⛔",
    Outcome.CANNOT_EVALUATE: "❓",
    Outcome.FAILED: "💥",
}
LEVEL_SIGNS = {"BLOCK": "⛔", "WAIVED": "🎫", "WARN": "⚠️", "ERROR": "💥"}
OPS = {"create": "➕ create", "update": "✏️ update", "delete": "➖ delete", "replace": "♻️ replace"}
ENDS = ("delete", "replace")
MACHINES = (NODE, INSTANCE)
"""What may not be had again: a reviewer is told of one that goes without opening anything."""
UNTRUSTED = (
    "**No resource diff.** This is a pull request from a fork: only its configuration was read, as data. Its program "
    "was not run, and nothing of it was near a secret."
)


@dataclass(frozen=True)
class Section:
    """A part of the comment. Those with the highest `rank` are cut first, from their ends."""

    rank: int
    what: str
    text: str


def render(review: Review) -> str:
    """The whole comment, at most MOST_CHARACTERS long."""
    return fit([section for section in _sections(review) if section.text], MOST_CHARACTERS)


def fit(sections: list[Section], limit: int) -> str:
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


def _sections(review: Review) -> Iterator[Section]:
    yield Section(0, "the verdict", f"{review.marker}\n## {headline(review)}")
    if review.untrusted:
        yield Section(0, "the notice", UNTRUSTED)
    yield Section(1, "what judges it", _judges(review))
    yield Section(1, "what went wrong", "\n\n".join(_errors(review)))
    yield Section(2, "the reasons", _reasons(review, "BLOCK", "WAIVED") or _lead(review))
    yield Section(2, "the comparison", _table(review))
    yield Section(3, "the chart", _chart(review))
    yield Section(3, "what would turn the verdict", _flips(review))
    yield Section(4, "the warnings", _warnings(review))
    yield Section(4, "waivers", _waivers(review))
    yield Section(5, "the resource changes", _changes(review))
    yield Section(6, "the inputs", _inputs(review))
    yield Section(1, "the end", _end(review))


def _end(review: Review) -> str:
    compared = f" · compared with {markdown.code(review.base.name)}" if review.base else ""
    return f"<sub>crossover preview · judged as of {review.today}{compared}</sub>"


def headline(review: Review) -> str:
    """The outcome and the money, in one line."""
    stack = markdown.code(review.stack.rpartition("/")[2])
    sign = f"{SIGNS[review.outcome]} {review.outcome}:"
    if review.outcome is Outcome.CANNOT_EVALUATE:
        count = wording.count(len(review.head.errors), "error")
        return f"{sign} {stack} cannot be judged, {count} in {markdown.code(review.path)}"
    gap = _gap(review.verdict)
    if review.outcome is Outcome.FAILED:
        gate = review.verdict.level if review.verdict else "unknown"
        return f"{sign} the preview of {stack} did not run to its end (the gate alone says {gate})"
    money = "" if gap is None else f"{'saves' if gap >= 0 else 'loses'} {wording.usd(abs(gap))} a month"
    codes = list(dict.fromkeys(f.rule for f in review.findings if f.level == review.outcome.value))
    if review.outcome is Outcome.BLOCK:
        said = [money] if money and "break-even" in codes else []
        broken = [markdown.text(code) for code in codes if not said or code not in ("break-even", "probability")]
        said += ["breaks " + ", ".join(broken)] if broken else []
        return f"{sign} {stack} {' and '.join(said)}"
    waived = list(dict.fromkeys(finding.rule for finding in review.findings if finding.level == "WAIVED"))
    told = [f"{', '.join(map(markdown.text, waived))} waived"] if waived else []
    told += [wording.count(len(codes), "warning")] if codes else []
    return f"{sign} {stack} {money or 'cannot be priced'}{', with ' if told else ''}{' and '.join(told)}"


def _gap(verdict: Verdict | None) -> Decimal | None:
    """Saved a month against the managed API; negative is lost."""
    if verdict is None or verdict.self_hosted_usd_per_month is None or verdict.managed_usd_per_month is None:
        return None
    return verdict.managed_usd_per_month - verdict.self_hosted_usd_per_month


def _judges(review: Review) -> str:
    """What a pull request must not slip in beside what it is about."""
    said = []
    if review.new_baseline is not None:
        approved = review.new_baseline
        money = f"{wording.count(approved.nodes, 'node')}, {wording.usd(approved.usd_per_month)}/month"
        said.append(f"**It sets the approved baseline** to {money}, by {markdown.text(approved.approved_by)}.")
    if review.judges_changed:
        names = ", ".join(map(markdown.code, review.judges_changed[:8]))
        more = f" and {len(review.judges_changed) - 8} more" if len(review.judges_changed) > 8 else ""
        said.append(f"**It changes what judges it:** {names}{more}.")
    return "\n>\n".join(f"> 👀 {line}" for line in said)


def _errors(review: Review) -> Iterator[str]:
    broken = [finding.message for finding in review.findings if finding.rule == CONFIGURATION]
    if broken:
        yield "\n".join(f"- {markdown.text(line)}" for line in broken)
        yield "Nothing was previewed: mend the configuration first."
    failed = [finding.message for finding in review.findings if finding.rule == PROGRAM]
    if failed:
        yield "**The program or the engine failed; this is no violation of a policy:**"
        yield from (markdown.block(message) for message in failed)


def _table(review: Review) -> str:
    head, base = review.head, review.base
    if head.verdict is None:
        return ""
    found = rows(head, base)
    if base is None or base.verdict is None:
        shown = markdown.table(("", "this pull request"), [_cells(row)[::2] for row in found], numbers=True)
        return "\n\n".join(part for part in (shown, _no_previous(review)) if part)
    header = ("", "previous", "this pull request", "difference")
    return markdown.table(header, [_cells(row) for row in found], numbers=True)


def _cells(row: Row) -> tuple[str, str, str, str]:
    name = f"**{row.name}**" if row.name.startswith(("Self-hosted, USD per month", "Break-even for good")) else row.name
    return name, markdown.text(row.previous), markdown.text(row.new), markdown.text(row.difference)


def _no_previous(review: Review) -> str:
    if review.base is None:
        return ""
    if not review.base.errors:
        return f"The stack is new: there is nothing at {markdown.code(review.base.name)} to compare with."
    lines = "; ".join(markdown.text(line) for line in review.base.errors)
    return f"What was at {markdown.code(review.base.name)} cannot be judged: {lines}"


def _chart(review: Review) -> str:
    """Bars of text: they are shown by GitHub's page, application and mails alike, in light and in dark."""
    verdict = review.verdict
    if verdict is None or verdict.self_hosted_usd_per_month is None or verdict.managed_usd_per_month is None:
        return ""
    before = review.base.verdict if review.base else None
    scenario = review.head.scenario
    assert scenario is not None
    money = [("managed", verdict.managed_usd_per_month)]
    volumes = [("projected", scenario.workload.displaced_tokens_per_month)]
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


def _lead(review: Review) -> str:
    return "" if review.verdict is None else markdown.text(review.verdict.summary)


def _reasons(review: Review, *levels: str) -> str:
    told = [f for f in review.findings if f.level in levels and f.rule not in (CONFIGURATION, PROGRAM)]
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
    told = "\n".join(part for part in (_reasons(review, "WARN"), notes, later) if part)
    return f"### Know before you approve\n{told}" if told else ""


def _flips(review: Review) -> str:
    verdict = review.verdict
    if verdict is None:
        return ""
    blocks = {finding.rule for finding in review.findings if finding.level == "BLOCK"}
    others = blocks - {reason.code for reason in verdict.reasons}
    if others and not verdict.blocked:
        return ""
    if not review.flips:
        alone = "No change of volume, managed price or number of nodes alone turns this verdict."
        return f"### What would turn it\n{alone}" if verdict.blocked else ""
    turned = "would let it through" if verdict.blocked else "would block it"
    if others:
        turned = f"would turn the cost gate; {', '.join(map(markdown.text, sorted(others)))} would still block"
    lines = "\n".join(f"- {flip.words}" for flip in review.flips)
    return f"### What would turn it\nEach alone {turned}:\n{lines}"


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
    warning = f"**Machines that end:** {', '.join(gone)}\n\n" if gone else ""
    return warning + markdown.details(summary, markdown.table(("", "name", "type", "inputs that differ"), shown))


def _inputs(review: Review) -> str:
    verdict = review.verdict
    if verdict is None:
        return ""
    shown = []
    for name, given in verdict.inputs.items():
        value = f"{given.value:,f}" if isinstance(given.value, Decimal) else str(given.value)
        age = "" if given.date is None else f"{given.date}, {_age(given.date, review.today)}"
        shown.append((markdown.code(name), markdown.text(value), markdown.text(given.source), age))
    body = markdown.table(("input", "value", "source", "of"), shown)
    return markdown.details("Inputs, their sources and ages", body)


def _age(day: date, today: date) -> str:
    return wording.count((today - day).days, "day") + " old"
