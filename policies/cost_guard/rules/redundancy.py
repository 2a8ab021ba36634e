"""Rule redundancy: two nodes at least, and candidates that can be kept maxPerFailureDomain apart."""

from __future__ import annotations

from .gate import fleet_rule

POLICY = fleet_rule("redundancy", "A fleet needs two nodes, in failure domains of their own.")
