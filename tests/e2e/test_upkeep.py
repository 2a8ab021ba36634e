"""What keeps a running stack right between two `up`: reconcile follows ports, orphans finds what no state knows."""

from __future__ import annotations

import json

from providers.base import NodeSpec, Owner
from tests.support.checkout import Checkout
from tests.support.owned import HOST_KEY

CROSSOVER = ".venv/bin/crossover"


def peers(checkout: Checkout) -> str:
    """The gateway's configuration, as the state has it."""
    [router] = [r for r in checkout.state()["deployment"]["resources"] if r["urn"].endswith("::gateway-router")]
    text: str = router["inputs"]["bundle"]["files"]["haproxy/haproxy.cfg"]["content"]
    return text


def test_reconcile_brings_a_changed_port_to_the_gateway_and_is_quiet_else(running: Checkout) -> None:
    assert running.run(CROSSOVER, "reconcile") == "local: nothing changed\n"
    record = running.cloud.client.folder(running.machines["a"].id) / "machine.json"
    before = record.read_text()
    body = json.loads(before)
    port = body["ports"]["vllm"]
    try:
        record.write_text(json.dumps({**body, "ports": {**body["ports"], "vllm": 32_001}}))
        assert running.run(CROSSOVER, "reconcile") == "local: the gateway was changed: gateway-router\n"
        assert "server a 127.0.0.1:32001 " in peers(running)
    finally:
        record.write_text(before)
    assert running.run(CROSSOVER, "reconcile") == "local: the gateway was changed: gateway-router\n"
    assert f"server a 127.0.0.1:{port} " in peers(running)


def test_orphans_ends_what_the_state_does_not_know_and_nothing_else(running: Checkout) -> None:
    before = {machine.id for machine in running.cloud.list()}
    strays = {}
    for stack in ("local", "elsewhere"):
        owner = Owner("crossover", stack, "inference", "x", 1)
        spec = NodeSpec(f"crossover-{stack}-x", owner, "bay-4", "small", HOST_KEY, {"ssh": 22})
        strays[stack] = running.cloud.launch(spec).id
    try:
        told = running.run(CROSSOVER, "orphans", fails=True)
        assert "1 orphan(s) at 0.00 USD/h; 3 machine(s) known to a state" in told
        assert f"ended local/{strays['local']}" in running.run(CROSSOVER, "orphans", "--terminate", "--yes")
        assert {machine.id for machine in running.cloud.list()} == before | {strays["elsewhere"]}
    finally:
        for machine_id in strays.values():
            running.cloud.terminate(machine_id)


def test_doctor_finds_nothing_wrong_with_a_stack_that_is_up(running: Checkout) -> None:
    checks = json.loads(running.run(CROSSOVER, "doctor", "--json"))
    assert {check["level"] for check in checks} == {"ok"}
