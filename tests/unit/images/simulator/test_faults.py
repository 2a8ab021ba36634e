import asyncio
from typing import Any

import pytest

from images.simulator.faults import Fault, Faults


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"fault": "none"}, Fault()),
        ({"fault": "hang"}, Fault("hang")),
        ({"fault": "error500"}, Fault("error500")),
        ({"fault": "slow"}, Fault("slow", factor=10.0)),
        ({"fault": "slow", "factor": 2.5}, Fault("slow", factor=2.5)),
        ({"fault": "crash", "exitCode": 139}, Fault("crash", exit_code=139)),
        ({"fault": "kill"}, Fault("kill")),
        ({"fault": "orphan", "seconds": 5}, Fault("orphan", seconds=5.0)),
        ({"fault": "linger"}, Fault("linger")),
    ],
)
def test_a_fault_is_read_and_shown_in_the_same_form(body: dict[str, Any], fault: Fault) -> None:
    assert Fault.parse(body) == fault
    assert Fault.parse(fault.to_json()) == fault


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {"fault": "burn"},
        {"fault": ["hang"]},
        {"fault": "hang", "factor": 2},
        {"fault": "slow", "factor": 0},
        {"fault": "slow", "factor": "9"},
        {"fault": "slow", "factor": True},
        {"fault": "slow", "factor": float("inf")},
        {"fault": "slow", "factor": float("nan")},
        {"fault": "crash", "exitCode": 0},
        {"fault": "crash", "exitCode": 256},
        {"fault": "crash", "exitCode": 1.0},
        {"fault": "orphan", "seconds": 0},
        {"fault": "kill", "seconds": 1},
    ],
)
def test_anything_else_is_refused(body: object) -> None:
    with pytest.raises(ValueError, match=r"expected|unknown|must be"):
        Fault.parse(body)


def test_crash_calls_for_the_exit_with_its_code_and_nothing_else_does() -> None:
    async def main() -> None:
        codes: list[int] = []
        faults = Faults(codes.append)
        for fault in (Fault("hang"), Fault("slow"), Fault("error500"), Fault()):
            faults.set(fault)
        assert codes == []
        faults.set(Fault("crash", exit_code=3))
        assert codes == [3]

    asyncio.run(main())
