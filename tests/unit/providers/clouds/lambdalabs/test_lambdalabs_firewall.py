"""Who reaches a machine at Lambda: whom the stack names, and by address its gateways at vLLM and its nodes at SSH."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import providers.renting.rent
import providers.renting.until
from providers.base import Machine, MachineState, Owner
from providers.clouds.lambdalabs import upkeep
from providers.errors import InvalidRequest, Unavailable
from providers.plugin.handler import InitFailed
from providers.plugin.node import NodeHandler
from providers.plugin.values import Plain
from providers.renting.blocklist import Blocklist
from providers.renting.memory.duds import Duds
from providers.renting.until import await_contact
from tests.clouds.lambdalabs import LambdaEmulator
from tests.clouds.server import Fault, Request
from tests.support.lambdalabs import NETWORKS, PUBLIC_KEY, REGION, SKU, Stage, stage
from tests.support.paper import answers_at_once

WEST, SOUTH = "us-west-1", "us-west-2"
GATEWAY = {"ssh": 22, "vllm": 8000, "endpoint": 8443}
OPERATOR = "203.0.113.7/32"
SECTION = {**NETWORKS, "clientCidrs": ["203.0.113.0/24"]}
NAMED = {(22, OPERATOR), (8000, OPERATOR), (8443, OPERATOR), (8443, "203.0.113.0/24")}
"""What the section lets in, whatever the fleet is."""


@pytest.fixture(autouse=True)
def reachable(monkeypatch: pytest.MonkeyPatch) -> None:
    answers_at_once(monkeypatch.setattr)
    monkeypatch.setattr(providers.renting.rent, "BLOCKLIST", Blocklist())


@pytest.fixture
def lab() -> Iterator[Stage]:
    with stage() as made:
        yield made


def meet(lab: Stage, key: str, region: str, settings: Mapping[str, Any] = SECTION, **changes: Any) -> Machine:
    """A gateway node that is launched and met."""
    machine = lab.launch(key, **{"region": region, "ports": GATEWAY, "settings": settings, **changes})
    return await_contact(machine, lab.cloud, "the key", 60, lab.clock.waiting(), settings)


def rules(lab: Stage, stack: str = "-s-") -> dict[str, set[tuple[int, str]]]:
    """Region → (port, source) that the ruleset of the stack there lets in."""
    return {
        ruleset["region"]["name"]: {(rule["port_range"][0], rule["source_network"]) for rule in ruleset["rules"]}
        for ruleset in lab.emulator.rulesets.values()
        if stack in ruleset["name"]
    }


def siblings(*machines: Machine) -> set[tuple[int, str]]:
    """What lets in those machines, which serve and carry a gateway."""
    return {(port, f"{machine.address}/32") for machine in machines for port in (22, 8000)}


def writes(lab: Stage) -> int:
    return sum(request.method == "PATCH" for request in lab.emulator.seen)


def test_each_node_is_let_in_at_the_others_of_every_region_as_soon_as_it_is_met(lab: Stage) -> None:
    """At SSH, to copy weights, and as a gateway at vLLM. The regions' rulesets are three; the first machine's hears of
    the last machine."""
    a = meet(lab, "a", REGION)
    assert rules(lab) == {REGION: NAMED | siblings(a)}  # its own gateway asks its own vLLM at its public address
    b = meet(lab, "b", WEST)
    c = meet(lab, "c", SOUTH)
    assert rules(lab) == dict.fromkeys((REGION, WEST, SOUTH), NAMED | siblings(a, b, c))


def test_nobody_is_let_in_whom_nobody_named(lab: Stage) -> None:
    """A node without a gateway at SSH alone, a gateway that serves nothing at vLLM alone, another stack's machine
    nowhere, and no range at all beside those of the section."""
    a = meet(lab, "a", REGION)
    b = meet(lab, "b", WEST, ports={"ssh": 22, "vllm": 8000})
    g = meet(lab, "g", SOUTH, ports={"ssh": 22, "endpoint": 8443})
    other = meet(lab, "o", REGION, owner=Owner("p", "other", "inference", "o", 1))
    serving, routing = {(22, f"{b.address}/32")}, {(8000, f"{g.address}/32")}
    plain = {(22, OPERATOR), (8000, OPERATOR)}
    assert rules(lab) == {
        REGION: NAMED | siblings(a) | serving | routing,
        WEST: plain | siblings(a) | serving | routing,
        SOUTH: (NAMED - {(8000, OPERATOR)} | siblings(a) | serving) - {(8000, f"{a.address}/32")},
    }
    assert rules(lab, "-other-") == {REGION: NAMED | siblings(other)}


def test_a_machine_that_boots_has_no_address_to_let_in() -> None:
    with stage(boot_s=600) as lab:
        machine = lab.launch("a", ports=GATEWAY, settings=SECTION)
        lab.cloud.admit(machine.owner or Owner("", "", "", "", 0), SECTION)
        assert rules(lab) == {REGION: NAMED}
        met = await_contact(machine, lab.cloud, "the key", 700, lab.clock.waiting(), SECTION)
        assert rules(lab) == {REGION: NAMED | siblings(met)}


def test_a_launch_beside_siblings_keeps_them_let_in(lab: Stage) -> None:
    a = meet(lab, "a", REGION)
    lab.launch("b", ports=GATEWAY, settings=SECTION)
    assert siblings(a) <= rules(lab)[REGION]


def test_what_is_right_already_is_not_written_again(lab: Stage) -> None:
    machine = meet(lab, "a", REGION)
    assert machine.owner is not None
    before = writes(lab)
    for settings in (None, SECTION):
        lab.cloud.admit(machine.owner, settings)
    assert writes(lab) == before


def test_an_ended_machine_is_let_in_no_more(lab: Stage) -> None:
    a, b = meet(lab, "a", REGION), meet(lab, "b", WEST)
    lab.cloud.terminate(b.id)
    assert rules(lab) == {REGION: NAMED | siblings(a)}


def test_a_stack_that_ends_as_a_whole_writes_no_rules_on_its_way_out() -> None:
    with stage(terminate_s=10) as lab:
        machines = [meet(lab, key, region) for key, region in (("a", REGION), ("b", WEST), ("c", SOUTH))]
        for machine in machines:
            lab.cloud.client.terminate(machine.id)
        before = writes(lab)
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lab.cloud.terminate, [machine.id for machine in machines]))
        assert (writes(lab) - before, lab.emulator.rulesets) == (0, {})


def test_an_end_is_none_the_worse_for_a_firewall_that_cannot_be_asked(
    lab: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next look at a sibling takes the address out."""
    a, b = meet(lab, "a", REGION), meet(lab, "b", WEST)
    with monkeypatch.context() as broken:
        refuse_writes(lab.emulator, broken)
        lab.cloud.terminate(b.id)
    assert lab.emulator.machines == [a.id]
    assert rules(lab)[REGION] == NAMED | siblings(a, b)
    handler, known = node(lab, a)
    handler.read(f"lambda/{a.id}", known, lab.clock.waiting())
    assert rules(lab)[REGION] == NAMED | siblings(a)


def refuse_writes(emulator: LambdaEmulator, patch: pytest.MonkeyPatch, status: int = 500) -> None:
    def refused(request: Request) -> tuple[int, Any]:
        raise emulator.failure(status)

    patch.setattr(emulator, "_patch_ruleset", refused)


# --- the plugin ------------------------------------------------------------------------------------------------------


def inputs(key: str = "a", section: Mapping[str, Any] = SECTION, **changes: Any) -> Plain:
    return {
        "key": key, "role": "inference", "project": "p", "stack": "s", "generation": 1, "ports": GATEWAY,
        "stackId": "1a2b", "candidates": [{"cloud": "lambda", "region": REGION, "sku": SKU}],
        "sshPublicKey": PUBLIC_KEY, "sshPrivateKey": "the key", "maxPerFailureDomain": 9, "deadlineS": 60,
        "onNoCapacity": "fail",
        "settings": {"lambda": section}, **changes,
    }  # fmt: skip


def node(lab: Stage, machine: Machine) -> tuple[NodeHandler, Plain]:
    """The handler, and what the state says of the machine."""
    placed = {"id": f"lambda/{machine.id}", "hostKey": "", "supervision": ""}
    return NodeHandler(lambda _: lab.cloud), {**inputs(), "machine": placed}


def test_a_section_that_names_nobody_is_refused_at_check_with_one_line(lab: Stage) -> None:
    """Also where there is no section at all, and once for all rungs."""
    handler = NodeHandler(lambda _: lab.cloud)
    rungs = inputs()["candidates"] * 2
    line = "clouds.lambda.sourceNetworks: missing; name who may connect, e.g. [203.0.113.7/32]: where `up` runs, and"
    sections: list[dict[str, Any]] = [{}, {"lambda": {}}]
    for settings in sections:
        (failure,) = handler.check({}, {**inputs(candidates=rungs), "settings": settings})
        assert failure.reason == f"{line} a gateway elsewhere"
    assert handler.check({}, inputs(candidates=rungs)) == []


def test_a_refresh_lets_in_an_address_that_changed_and_takes_out_what_ended(lab: Stage) -> None:
    """And leaves alone who is named, also where the state names others: whether they changed is for `up` to say."""
    a, b, c = (meet(lab, key, region) for key, region in (("a", REGION), ("b", WEST), ("c", SOUTH)))
    lab.emulator.vanish(c.id)
    moved = lab.emulator.instances[b.id]
    moved.booted = type(moved.booted)("192.0.2.99", moved.booted.ports)
    handler, known = node(lab, a)
    known["settings"] = {"lambda": {"sourceNetworks": ["198.51.100.1/32"]}}
    handler.read(f"lambda/{a.id}", known, lab.clock.waiting())
    now = NAMED | siblings(a) | {(22, "192.0.2.99/32"), (8000, "192.0.2.99/32")}
    assert rules(lab) == {REGION: now, WEST: now, SOUTH: NAMED | siblings(a, b, c)}  # nobody lives there any more


def test_an_import_lets_in_without_knowing_any_settings(lab: Stage) -> None:
    machine = lab.launch("a", ports=GATEWAY, settings=SECTION)
    handler, _ = node(lab, machine)
    handler.read(f"lambda/{machine.id}", {}, lab.clock.waiting())
    assert rules(lab) == {REGION: NAMED | siblings(lab.cloud.get(machine.id))}


def test_a_refresh_that_cannot_write_keeps_the_machine_and_says_why(
    lab: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = lab.launch("a", ports=GATEWAY, settings=SECTION)
    refuse_writes(lab.emulator, monkeypatch)
    handler, known = node(lab, machine)
    with pytest.raises(InitFailed, match="firewall-rulesets"):
        handler.read(f"lambda/{machine.id}", known, lab.clock.waiting())


def test_an_up_changes_who_may_connect_before_it_connects(lab: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator's address is another one today: without it in the ruleset the contact could not succeed."""
    machine = meet(lab, "a", REGION)
    at_contact: list[set[tuple[int, str]]] = []

    def first_contact(met: Machine, key: str) -> Machine:
        at_contact.append(rules(lab)[REGION])
        return met

    monkeypatch.setattr(providers.renting.until, "first_contact", first_contact)
    handler, known = node(lab, machine)
    section = {"sourceNetworks": ["203.0.113.8/32"]}
    handler.update(f"lambda/{machine.id}", known, inputs(section=section), lab.clock.waiting())
    expected = {(port, "203.0.113.8/32") for port in GATEWAY.values()} | siblings(machine)
    assert at_contact == [expected]
    assert rules(lab) == {REGION: expected}


@pytest.mark.parametrize("status", [500, 400])
def test_a_firewall_that_cannot_be_written_loses_no_machine_and_the_next_up_goes_on(
    lab: Stage, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """A fault is sat out until the deadline, a refusal is told at once; either way the machine is in the state."""
    handler = NodeHandler(lambda _: lab.cloud)
    with monkeypatch.context() as broken:
        refuse_writes(lab.emulator, broken, status)
        with pytest.raises(InitFailed, match=r"is kept: .*firewall-rulesets") as failed:
            handler.create("urn", inputs(), lab.clock.waiting())
    assert (lab.clock.now >= 60) == (status == 500)
    (machine_id,) = lab.emulator.machines
    outputs = failed.value.outputs
    assert outputs["machine"]["id"] == f"lambda/{machine_id}"
    handler.update(f"lambda/{machine_id}", outputs, inputs(), lab.clock.waiting())
    assert lab.emulator.machines == [machine_id]
    assert rules(lab) == {REGION: NAMED | siblings(lab.cloud.get(machine_id))}


def test_a_fault_that_passes_delays_the_contact_and_nothing_else(lab: Stage) -> None:
    machine = lab.launch("a", ports=GATEWAY, settings=SECTION)
    lab.emulator.inject(Fault.REFUSED_500, 3)
    met = await_contact(machine, lab.cloud, "the key", 60, lab.clock.waiting(), SECTION)
    assert rules(lab) == {REGION: NAMED | siblings(met)}


def test_who_cannot_be_reached_is_given_back_although_it_was_let_in(
    lab: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before first contact a failed rent leaves nothing: no machine, and no rule for an address that is another's."""

    def silent(machine: Machine, key: str) -> Machine:
        if "-b-" in machine.name:
            raise Unavailable("nobody answers")
        return machine

    a = meet(lab, "a", REGION)
    monkeypatch.setattr(providers.renting.until, "first_contact", silent)
    rungs = [{"cloud": "lambda", "region": WEST, "sku": SKU}]
    duds = Duds()
    with pytest.raises(Exception, match="confirmed gone"):
        NodeHandler(lambda _: lab.cloud, duds=lambda *_: duds).create(
            "urn", inputs("b", candidates=rungs), lab.clock.waiting()
        )
    assert (lab.emulator.machines, rules(lab)) == ([a.id], {REGION: NAMED | siblings(a)})


# --- many at once ----------------------------------------------------------------------------------------------------


PLACES = [("a", REGION), ("b", WEST), ("c", SOUTH), ("d", REGION)]


def test_nodes_that_are_met_at_once_all_let_in_one_another() -> None:
    """What one writes, the others find: in all no more than a write a ruleset and machine."""
    with stage(boot_s=100) as lab:
        launched = [lab.launch(key, region=region, ports=GATEWAY, settings=SECTION) for key, region in PLACES]
        lab.clock.sleep(100)
        with ThreadPoolExecutor(len(launched)) as pool:
            meetings = [
                pool.submit(await_contact, machine, lab.cloud, "the key", 900, lab.clock.waiting(), SECTION)
                for machine in launched
            ]
        met = [meeting.result() for meeting in meetings]
        assert {machine.state for machine in met} == {MachineState.RUNNING}
        assert rules(lab) == dict.fromkeys((REGION, WEST, SOUTH), NAMED | siblings(*met))
        assert 3 <= writes(lab) <= 3 * len(launched)


def test_the_rate_limit_is_kept_and_a_machine_whose_siblings_know_it_costs_three_requests() -> None:
    """A look at the machine, at all machines and at the rulesets: one a second, and none is refused for haste."""
    with stage(paced=True, boot_s=100) as lab:
        launched = [lab.launch(key, region=region, ports=GATEWAY, settings=SECTION) for key, region in PLACES]
        lab.clock.sleep(100)
        took_s = []
        for machine in launched:
            began = lab.clock.now
            await_contact(machine, lab.cloud, "the key", 900, lab.clock.waiting(), SECTION)
            took_s.append(lab.clock.now - began)
        assert took_s[0] <= 3 + 2 + 3 + 2  # again under the lock, three writes, and whether they stand
        assert max(took_s[1:]) <= 3
        assert lab.emulator.refusals == []


def test_an_older_listing_of_another_process_has_not_the_last_word(lab: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who does not know of b writes his rules right after ours."""
    a = meet(lab, "a", REGION)
    original, stale = lab.emulator._patch_ruleset, next(iter(lab.emulator.rulesets.values()))["rules"]
    late = 2

    def overwritten(request: Request) -> tuple[int, Any]:
        nonlocal late
        late -= 1
        answer = original(request)
        if late >= 0:
            lab.emulator.rulesets[request.found["id"]]["rules"] = stale
        return answer

    monkeypatch.setattr(lab.emulator, "_patch_ruleset", overwritten)
    b = meet(lab, "b", REGION)
    assert rules(lab) == {REGION: NAMED | siblings(a, b)}


def test_a_ruleset_that_others_write_for_ever_is_told_and_ends(lab: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = lab.launch("a", ports=GATEWAY, settings=SECTION)
    monkeypatch.setattr(lab.emulator, "_patch_ruleset", lambda _: (200, {"data": {}}))
    assert machine.owner is not None
    before = len(lab.requests)
    with pytest.raises(Unavailable, match="change as often as they are written"):
        lab.cloud.admit(machine.owner)
    assert lab.requests[before:].count("GET /firewall-rulesets") == upkeep.ADMIT_ROUNDS + 1


def test_a_ruleset_that_goes_while_it_is_written_is_no_failure(lab: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = lab.launch("a", ports=GATEWAY, settings=SECTION)
    original = lab.emulator._patch_ruleset

    def gone(request: Request) -> tuple[int, Any]:
        del lab.emulator.rulesets[request.found["id"]]
        return original(request)

    monkeypatch.setattr(lab.emulator, "_patch_ruleset", gone)
    assert machine.owner is not None
    lab.cloud.admit(machine.owner, SECTION)


def test_a_node_at_a_named_address_has_one_rule_and_its_name_outlives_it(lab: Stage) -> None:
    """Somebody names 192.0.2.1, which is the first machine's."""
    named = {"sourceNetworks": [OPERATOR, "192.0.2.1/32"]}
    a = meet(lab, "a", REGION, named)
    b = meet(lab, "b", WEST, named)
    (found,) = [r["rules"] for r in lab.emulator.rulesets.values() if r["region"]["name"] == WEST]
    assert a.address == "192.0.2.1"
    assert len([r for r in found if (r["port_range"], r["source_network"]) == ([8000, 8000], "192.0.2.1/32")]) == 1
    lab.cloud.terminate(a.id)
    assert rules(lab)[WEST] == {(p, n) for p in GATEWAY.values() for n in named["sourceNetworks"]} | siblings(b)


def test_settings_that_cannot_be_used_are_refused_before_anything_is_asked(lab: Stage) -> None:
    machine = lab.launch("a", ports=GATEWAY, settings=SECTION)
    assert machine.owner is not None
    before = len(lab.requests)
    with pytest.raises(InvalidRequest, match="sourceNetworks: missing"):
        lab.cloud.admit(machine.owner, {})
    assert len(lab.requests) == before


def test_a_stranger_is_met_and_not_let_in(lab: Stage) -> None:
    """Somebody removed its tags: it is no sibling, and nothing is asked of its firewall."""
    machine = lab.launch("a", ports=GATEWAY, settings=SECTION)
    lab.emulator.instances[machine.id].launch.tags.clear()
    await_contact(machine, lab.cloud, "the key", 60, lab.clock.waiting(), SECTION)
    assert rules(lab) == {REGION: NAMED}
