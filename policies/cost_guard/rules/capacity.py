"""Rule capacity: V·ρ/H ≤ nodes·C."""

from __future__ import annotations

from .gate import fleet_rule

POLICY = fleet_rule("capacity", "The nodes must be able to serve the projected peak.")
