"""Stub."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Chances:
    """Stub."""

    p10: float | None
    p50: float | None
    p90: float | None
    probability: float
    probability_pays: float
    probability_horizon: float


@dataclass(frozen=True)
class Sigmas:
    """Stub."""

    draws: object = None
    seed: object = None
    volume: object = None
    api_price: object = None
    overhead: object = None
    throughput: object = None
    node_price: object = None


def simulate(readings, horizon, sigmas):
    return tuple(Chances(1e9, 1e9, 1e9, 1.0, 1.0, 1.0) for _ in readings)
