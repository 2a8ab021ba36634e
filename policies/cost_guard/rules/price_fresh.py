"""Rule price-fresh: a price over 180 days old blocks what bills money, over 90 it warns."""

from __future__ import annotations

from .gate import fleet_rule

POLICY = fleet_rule("price-fresh", "Prices must not be older than 180 days.")
