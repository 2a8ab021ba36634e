"""Node inputs: what can be told without a cloud is told before one is asked."""

from __future__ import annotations

from typing import Any

import pytest

from providers.errors import InvalidRequest
from providers.plugin.node import NodeHandler
from providers.plugin.values import UNKNOWN
from tests.support.clouds import FakeCloud

GOOD: dict[str, Any] = {
    "key": "a", "role": "inference", "project": "p", "stack": "s", "generation": 1, "ports": {"ssh": 22},
    "candidates": [{"cloud": "fake", "region": "r", "sku": "gpu"}], "sshPublicKey": UNKNOWN,
    "maxPerFailureDomain": 1, "deadlineS": 60,
}  # fmt: skip


def cloud(name: str) -> FakeCloud:
    if name != "fake":
        raise InvalidRequest(f"unknown cloud {name!r}: choose one of fake")
    return FakeCloud()


def complaints(olds: dict[str, Any] | None = None, **changes: Any) -> list[str]:
    return [failure.reason for failure in NodeHandler(cloud).check(olds or {}, {**GOOD, **changes})]


def rung(**changes: Any) -> list[dict[str, Any]]:
    return [{"cloud": "fake", "region": "r", "sku": "gpu", **changes}]


@pytest.mark.parametrize("ceiling", [None, 25, 25.5, "25.50"])
def test_good_inputs_pass_with_a_ceiling_as_number_or_decimal_string(ceiling: object) -> None:
    assert complaints(candidates=rung(maxUsdPerHour=ceiling)) == []


@pytest.mark.parametrize("ceiling", [0, -1, "NaN", "Infinity", "cheap", True, float("inf")])
def test_a_ceiling_that_is_no_price_is_refused(ceiling: object) -> None:
    (complaint,) = complaints(candidates=rung(maxUsdPerHour=ceiling))
    assert "maxUsdPerHour must be a positive number of USD" in complaint


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"candidates": []}, "a list of at least one candidate"),
        ({"candidates": "fake"}, "a list of at least one candidate"),
        ({"candidates": ["fake"]}, "a candidate needs cloud, region and sku"),
        ({"candidates": [{"cloud": "fake", "region": "r"}]}, "a candidate needs cloud, region and sku"),
        ({"candidates": rung(cloud="fkae")}, "unknown cloud 'fkae': choose one of fake"),
        ({"generation": "two"}, "generation must be a number of 1 or more"),
        ({"generation": 0}, "generation must be a number of 1 or more"),
        ({"ports": []}, "ports must map a service to its port"),
        ({"colour": "red"}, "unknown input 'colour'"),
        ({"key": None}, "key is required"),
    ],
)
def test_what_is_wrong_is_said(changes: dict[str, Any], words: str) -> None:
    assert any(words in complaint for complaint in complaints(**changes))


@pytest.mark.parametrize("key", ["key", "role", "project", "stack"])
def test_what_a_machine_is_named_after_never_changes(key: str) -> None:
    assert any("never changes" in c for c in complaints(olds=GOOD, **{key: "other"}))


def test_what_is_not_known_yet_is_not_judged() -> None:
    assert complaints(candidates=UNKNOWN, generation=UNKNOWN, ports=UNKNOWN) == []
