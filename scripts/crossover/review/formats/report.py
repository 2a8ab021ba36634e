"""`report.json`: everything of a review in one document, which `--json` prints too."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from cost_guard.wording import to_json_number
from scripts.crossover.review.comparison import self_hosted_usd_per_million
from scripts.crossover.review.meant import meant
from scripts.crossover.review.review import Review
from scripts.crossover.review.scales.both import Scales
from scripts.crossover.stack.verdict import Side

FORMAT = 1
"""Raised when a key changes its meaning."""


def document(review: Review, strict: bool) -> dict[str, Any]:
    """Plain data. `head` and `base` hold what `crossover plan --json` prints; null where there is no verdict."""
    run = review.run
    return {
        "format": FORMAT,
        "stack": review.stack,
        "marker": review.marker,
        "config": review.path,
        "today": review.today.isoformat(),
        "verdict": review.outcome.value,
        "exitCode": review.exit_code(strict),
        "untrusted": review.untrusted,
        "head": _side(review.head),
        "base": None if review.base is None else {"ref": review.base.name, **_side(review.base)},
        "findings": [asdict(finding) for finding in review.findings],
        "flips": [
            {
                "model": flip.model or None,
                "input": flip.input,
                "now": to_json_number(flip.now),
                "at": to_json_number(flip.at),
                "verdict": str(flip.level),
                "rules": list(flip.rules),
                "text": flip.words,
            }
            for flip in review.flips
        ],
        "changes": None if run is None else [asdict(change) for change in run.changes],
        "violations": None if run is None else [asdict(violation) for violation in run.violations],
        "notInForce": None if run is None else [{"rule": rule, "how": how} for rule, how in run.weakened],
        "deferred": None if run is None else [{"rule": rule, "why": why} for rule, why in run.deferred],
        "failures": None if run is None else list(run.failures),
        "newTypes": None if run is None else list(run.new_types),
        "waivers": [asdict(waiver) for waiver in review.shown_waivers],
        "judgesChanged": list(review.judges_changed),
        "meaning": [asdict(one) for one in meant(review.head, review.base)],
        "scales": None if review.scales is None else _scales(review.scales),
        "blocksTheBaseToo": sorted(review.inherited),
        "onceMerged": None if review.head.once_merged is None else review.head.once_merged.to_json_dict(),
        "stacksWithoutJob": list(review.without_job),
    }


def _scales(scales: Scales) -> dict[str, Any]:
    return {
        "changed": [asdict(figure) for figure in scales.changed],
        "buysMore": list(scales.buys),
        "errors": list(scales.errors),
        "unread": list(scales.unread),
        "verdict": None if scales.verdict is None else scales.verdict.to_json_dict(),
    }


def _side(side: Side) -> dict[str, Any]:
    return {
        "exists": side.config is not None or bool(side.errors),
        "errors": list(side.errors),
        "selfHostedUsdPerMillion": to_json_number(self_hosted_usd_per_million(side)),
        "verdict": None if side.verdict is None else side.verdict.to_json_dict(),
    }
