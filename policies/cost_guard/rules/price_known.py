"""Rule price-known: each rung has a row in prices.toml and one in throughput.toml."""

from __future__ import annotations

from .gate import fleet_rule

POLICY = fleet_rule("price-known", "Every candidate needs a known price and throughput.")
