"""What a machine is said to cost once it is there is held to its ceiling, at every cloud that bills."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest

from providers.errors import NoCapacity
from providers.plugin.node import NodeHandler
from providers.plugin.values import Plain
from providers.renting.naming import machine_name
from providers.renting.rent import rent
from tests.clouds.server import COSTS, Fault
from tests.contract.conftest import Trial
from tests.contract.state import State
from tests.contract.test_faults import request

PRICES = list(COSTS)


@pytest.mark.parametrize("fault", PRICES)
def test_finding_11_a_machine_at_another_price_is_given_back_and_another_one_rented(
    emulated: Trial, fault: Fault
) -> None:
    """Audit 11: ten times the price, 0 and null were accepted without a word."""
    assert emulated.emulator is not None
    emulated.emulator.inject(fault)
    machine = rent(request(emulated), lambda _: emulated.cloud, emulated.waiting())
    assert emulated.billed() == [machine.id]
    assert machine.id not in emulated.emulator.costs
    assert machine.usd_per_hour is not None
    assert 0 < machine.usd_per_hour <= 30


@pytest.mark.parametrize("fault", PRICES)
def test_finding_11_where_every_machine_is_too_dear_nothing_is_left_and_the_price_is_told(
    emulated: Trial, fault: Fault
) -> None:
    """Audit 11: what is billed counts, and not the quote."""
    assert emulated.emulator is not None
    emulated.emulator.inject(fault, times=100)
    told = "223.20? USD/h, above its ceiling of 30 USD/h" if fault is Fault.PRICE_JUMP else "tells no price of machine"
    with pytest.raises(NoCapacity, match=told):
        rent(request(emulated), lambda _: emulated.cloud, emulated.waiting())
    assert emulated.billed() == []


@pytest.mark.parametrize("fault", PRICES)
def test_finding_11_a_machine_that_is_taken_over_is_held_to_it_until_the_ceiling_is_raised(
    emulated: Trial, fault: Fault
) -> None:
    """Audit 11 (S12): after a jump and an end that failed, the next `up` took it over at 109.68 USD/h."""
    emulator = emulated.emulator
    assert emulator is not None
    node = State(emulated)
    emulator.inject(fault)
    left = emulated.cloud.launch(emulated.spec(owner=request(emulated).owner, name=_name(emulated)))
    for what in ("up", "up", "read", "up"):  # it is never in order: a refresh clears the reasons of before
        node.run(what, threading.Event())
        assert node.machines == [left.id]
        assert node.last_error, what
    if fault is Fault.PRICE_JUMP:
        node.inputs = {**node.inputs, "candidates": _ceilings(node.inputs, 250)}
        node.run("up", threading.Event())
    else:
        del emulator.costs[left.id]
        node.run("up", threading.Event())
    assert node.last_error == ""
    assert emulated.billed() == [left.id]


@pytest.mark.parametrize("fault", PRICES)
def test_finding_11_a_machine_that_serves_goes_on_at_any_price_and_a_refresh_warns(
    emulated: Trial, fault: Fault
) -> None:
    """Audit 11: a refresh took any price without a word; it never ends what serves."""
    emulator = emulated.emulator
    assert emulator is not None
    node = State(emulated)
    node.run("up", threading.Event())
    (machine,) = node.machines
    emulator.costs[machine] = COSTS[fault]
    warned: list[str] = []
    waiting = replace(emulated.waiting(), warn=warned.append)
    handler = NodeHandler(lambda _: emulated.cloud)
    assert node.id is not None
    read = handler.read(node.id, node.outputs, waiting)
    assert read is not None
    assert any("serves on" in line and machine in line for line in warned)
    assert float(read[1]["usdPerHour"]) > 0
    assert handler.update(node.id, read[1], {**node.inputs, "deadlineS": 601.0}, waiting)["machine"]["id"]
    assert emulated.billed() == [machine]


@pytest.mark.parametrize("price", [0, float("nan"), -1, "n/a", None], ids=str)
def test_finding_11_what_has_no_price_in_the_catalogue_is_not_rented(
    emulated: Trial, price: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Audit 11 (S15): at 0 it was rented blindly, and NaN was an InvalidOperation."""
    quoted(emulated.emulator, price, monkeypatch)
    with pytest.raises(NoCapacity):
        rent(request(emulated), lambda _: emulated.cloud, emulated.waiting())
    assert emulated.billed() == []


def quoted(emulator: Any, price: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """The vendor's catalogue has that price for everything. JSON has no NaN, and the vendor sends it all the same."""
    if hasattr(emulator, "prices_cents"):
        emulator.prices_cents = dict.fromkeys(emulator.prices_cents, price)
    elif hasattr(emulator, "usd_per_gpu_hour"):
        emulator.usd_per_gpu_hour = price
    else:
        offers = [{**emulator._shown(offer, False, 400), "dph_total": price} for offer in emulator.offers.values()]
        monkeypatch.setattr(emulator, "_search", lambda _: (200, {"offers": offers}))


def _name(trial: Trial) -> str:
    return machine_name(request(trial).owner)


def _ceilings(inputs: Plain, usd: int) -> list[Plain]:
    return [{**rung, "maxUsdPerHour": usd} for rung in inputs["candidates"]]
