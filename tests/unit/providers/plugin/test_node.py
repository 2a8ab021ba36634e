"""Node inputs: what can be told without a cloud is told before one is asked."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

import pytest

import providers.renting.rent
import providers.renting.until
from images.remote.waiting import Waiting
from providers.base import Capability
from providers.errors import InvalidRequest, NoCapacity
from providers.plugin.node import NodeHandler
from providers.plugin.values import UNKNOWN
from providers.renting.blocklist import Blocklist
from tests.support.clouds import FakeCloud

GOOD: dict[str, Any] = {
    "key": "a", "role": "inference", "project": "p", "stack": "s", "generation": 1, "ports": {"ssh": 22},
    "stackId": "1a2b", "candidates": [{"cloud": "fake", "region": "r", "sku": "gpu"}], "sshPublicKey": UNKNOWN,
    "sshPrivateKey": UNKNOWN, "maxPerFailureDomain": 1, "deadlineS": 60, "onNoCapacity": "fail", "settings": {},
}  # fmt: skip


def no_capabilities(name: str) -> frozenset[Capability]:
    return frozenset()


def cloud(name: str) -> FakeCloud:
    if name != "fake":
        raise InvalidRequest(f"unknown cloud {name!r}: choose one of fake")
    return FakeCloud()


def complaints(olds: dict[str, Any] | None = None, **changes: Any) -> list[str]:
    return [failure.reason for failure in NodeHandler(cloud, no_capabilities).check(olds or {}, {**GOOD, **changes})]


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
        ({"stackId": "1a2b", "candidates": []}, "a list of at least one candidate"),
        ({"candidates": "fake"}, "a list of at least one candidate"),
        ({"stackId": "1a2b", "candidates": ["fake"]}, "a candidate needs cloud, region and sku"),
        (
            {"stackId": "1a2b", "candidates": [{"cloud": "fake", "region": "r"}]},
            "a candidate needs cloud, region and sku",
        ),
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


def test_what_to_do_without_capacity_is_one_of_two_words() -> None:
    assert complaints(onNoCapacity="retry") == ["onNoCapacity must be one of fail, degrade"]


def test_a_section_that_its_cloud_refuses_is_a_complaint_in_the_clouds_words() -> None:
    class Choosy(FakeCloud):
        def check_settings(self, settings: Mapping[str, Any]) -> None:
            raise InvalidRequest("clouds.fake: unknown key imge (did you mean image?)")

    (failure,) = NodeHandler(lambda _: Choosy(), no_capabilities).check(
        {}, {**GOOD, "settings": {"fake": {"imge": "x"}}}
    )
    assert (failure.property, failure.reason) == (
        "settings.fake",
        "clouds.fake: unknown key imge (did you mean image?)",
    )


def test_a_cloud_whose_machines_the_program_declares_is_no_rung() -> None:
    """The plugin would find and end machines there, and can launch none."""
    (failure,) = NodeHandler(cloud, lambda _: frozenset({Capability.DECLARED})).check({}, GOOD)
    assert failure.reason == "a machine at fake is a resource of the program, and no rung of a ladder"


def rented(handler: NodeHandler, waiting: Waiting, **changes: Any) -> tuple[str, dict[str, Any]]:
    known = {"sshPublicKey": "ssh-ed25519 AAAA", "sshPrivateKey": "the key", "onNoCapacity": "degrade", **changes}
    return handler.create("urn", {**GOOD, **known}, waiting)


@pytest.fixture
def empty_cloud(monkeypatch: pytest.MonkeyPatch) -> FakeCloud:
    """A cloud with nothing free for one launch, whose machines then answer at once."""
    monkeypatch.setattr(providers.renting.until, "first_contact", lambda machine, key: machine)
    monkeypatch.setattr(providers.renting.rent, "BLOCKLIST", Blocklist())
    return FakeCloud(launch_faults=deque([NoCapacity("sold out")]))


def test_a_degraded_node_is_vacant_says_so_and_is_rented_by_a_later_update(empty_cloud: FakeCloud) -> None:
    warnings: list[str] = []
    handler = NodeHandler(lambda _: empty_cloud)
    resource_id, outputs = rented(handler, Waiting(warn=warnings.append))
    assert resource_id == outputs["machine"]["id"] == "vacant/p-s-a-g1-" + resource_id[-8:]
    assert outputs["machine"]["address"] == ""
    assert len(warnings) == 1
    assert "sold out" in warnings[0]
    assert handler.unfinished(outputs) == ("machine",)
    assert handler.read(resource_id, outputs, Waiting()) == ({k: outputs[k] for k in handler.inputs}, outputs)
    handler.delete(resource_id, outputs, Waiting())  # nothing to end, and no error
    providers.renting.rent.BLOCKLIST = Blocklist()  # as in the next run, which is another process
    later = handler.update(resource_id, outputs, {key: outputs[key] for key in handler.inputs}, Waiting())
    assert later["machine"]["id"] == "fake/fake-1"
    assert handler.unfinished(later) == ()
    handler.delete(resource_id, later, Waiting())
    assert empty_cloud.machines == {}


def test_without_leave_to_degrade_no_capacity_fails_and_leaves_nothing(empty_cloud: FakeCloud) -> None:
    with pytest.raises(NoCapacity, match="fake/r/gpu: sold out"):
        rented(NodeHandler(lambda _: empty_cloud), Waiting(), onNoCapacity="fail")
    assert empty_cloud.machines == {}
