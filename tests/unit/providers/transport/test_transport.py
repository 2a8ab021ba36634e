"""Rates that are kept by all who share them."""

from __future__ import annotations

import pytest

from providers.transport.transport import Pace
from tests.support.clouds import Clock


def sent(pace: Pace, clock: Clock, requests: int) -> list[float]:
    """When so many requests, all wanted at once, are sent."""
    times = []
    for _ in range(requests):
        pace.wait()
        times.append(clock())
    return times


def test_one_at_a_time_keeps_its_distance_and_owes_nothing_for_idle_time() -> None:
    clock = Clock()
    pace = Pace(12.0, clock, clock.sleep)
    assert sent(pace, clock, 3) == [0, 12, 24]
    clock.sleep(100)
    assert sent(pace, clock, 2) == [124, 136]


@pytest.mark.parametrize("burst", [2, 60])
def test_no_window_wherever_it_begins_holds_more_than_the_burst(burst: int) -> None:
    clock = Clock()
    pace = Pace(1.0, clock, clock.sleep, burst)
    times = sent(pace, clock, burst // 2)
    clock.sleep(0.75 * burst)
    times += sent(pace, clock, 3 * burst)
    assert all(sum(begin <= t < begin + burst for t in times) <= burst for begin in times)


def test_a_burst_waits_for_nothing_until_it_is_used_up() -> None:
    clock = Clock()
    times = sent(Pace(1.0, clock, clock.sleep, burst=60), clock, 61)
    assert (times[59], times[60]) == (0, 60)
