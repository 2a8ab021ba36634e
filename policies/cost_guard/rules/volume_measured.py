"""Rule volume-measured: an asserted volume blocks a fleet that bills money and runs for over 30 days."""

from __future__ import annotations

from .gate import fleet_rule

POLICY = fleet_rule("volume-measured", "A fleet that runs must be judged by a measured volume.")
