"""Which rules the pack enforces: one line a code. The rule of a code is `RULE` in rules/<code, with underscores>.py."""

from __future__ import annotations

from cost_guard.verdict.verdict import CODES

FLEET_CODES = CODES
"""The codes of the verdict: each is judged on the inputs of the Fleet."""

MANDATORY = (
    *FLEET_CODES,
    "spot-share",
    "node-outside-fleet",
    "ingress-closed",
    "monitoring-wired",
    "fallback-configured",
    "ownership-tags",
    "self-check",
)
"""Every rule that must be mandatory where the pack runs: `crossover preview` asserts it, and so does `self-check`."""

ADVISORY, WAIVERS = "advisories", "waivers"
"""Rules that block nothing: what should be known of single resources, and of the whole stack."""

NEVER_WAIVED = {
    "price-known": "without a price nothing else can be judged, and no cost cap could be held",
    "node-outside-fleet": "a node that nobody has priced is not covered by any verdict",
    "self-check": "it says that rules are switched off, which nobody should miss",
}
"""Codes that no waiver lifts → why."""
