"""Machines of other people in the same account stop nobody, whatever their rows look like."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from providers.base import MachineState
from providers.errors import Incomplete
from providers.renting.rent import rent
from scripts.crossover.shell.clouds import ask
from tests.clouds.foreign import SHAPES
from tests.clouds.vendors import VENDORS
from tests.contract.conftest import Trial, at_vendor
from tests.contract.state import State
from tests.contract.test_faults import request

ROWS = [(vendor, shape) for vendor in VENDORS for shape in SHAPES[vendor]]


@pytest.mark.usefixtures("on_paper")
@pytest.mark.parametrize(("vendor", "shape"), ROWS)
def test_finding_10_no_row_of_anybodys_keeps_ours_from_being_rented_read_and_ended(vendor: str, shape: str) -> None:
    """Audit 10: one such row, and refresh, `up` and destroy failed; nothing asked for the end of what billed."""
    with at_vendor(vendor) as trial:
        assert trial.emulator is not None
        trial.emulator.foreign = [trial.emulator.shapes[shape]]
        node = State(trial)
        for what in ("up", "read", "up"):
            node.run(what, threading.Event())
            assert (node.last_error, len(trial.billed())) == ("", 1), what
        assert node.machines == trial.billed()
        node.run("delete", threading.Event())
        assert (node.last_error, trial.billed()) == ("", [])


def test_finding_10_a_listing_has_every_row_that_has_an_id_and_counts_the_others(emulated: Trial) -> None:
    """Audit 10: what cannot be read is UNKNOWN with its id, or counted; it is never taken for ours."""
    emulator = emulated.emulator
    assert emulator is not None
    machine = rent(request(emulated), lambda _: emulated.cloud, emulated.waiting())
    emulator.foreign = list(emulator.shapes.values())
    without_id = [row for row in emulator.foreign if not _has_id(emulated, row)]
    with pytest.raises(Incomplete, match=f"lists {len(without_id)} rows without an id") as caught:
        emulated.cloud.list("p")
    found = {m.id: m for m in caught.value.found if m.owner is not None and m.owner.stack == "s"}
    assert found == {machine.id: machine}
    others = [m for m in caught.value.found if m.owner is None]
    assert others
    assert all(m.state is MachineState.UNKNOWN and m.id for m in others)


def test_finding_10_a_cloud_that_raises_anything_keeps_no_other_from_answering(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Audit 10: `crossover orphans` was a traceback for all clouds."""

    def question(cloud: Any) -> list[str]:
        if cloud.name == "lambda":
            raise ZeroDivisionError("nobody thought of it")
        return [cloud.name]

    answers = {answer.cloud: answer for answer in ask(question)}
    assert "ZeroDivisionError: nobody thought of it" in answers["lambda"].failed
    assert [name for name, answer in answers.items() if not answer.failed] == sorted({*answers} - {"lambda"})


def _has_id(trial: Trial, row: Any) -> bool:
    """Vast.ai's ids are numbers, the others' are texts."""
    kind = int if trial.cloud.name == "vastai" else str
    return isinstance(row, dict) and isinstance(row.get("id"), kind)
