"""Vast.ai, a market: every offer is one machine of one host, rented as a container, at a price that moves."""
