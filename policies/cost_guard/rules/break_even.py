"""Rule break-even: cost(V) ≤ managed(V). BLOCKs here; a volume below the stable break-even only warns."""

from __future__ import annotations

from .gate import fleet_rule

POLICY = fleet_rule("break-even", "A fleet must pay for itself at its projected volume.")
