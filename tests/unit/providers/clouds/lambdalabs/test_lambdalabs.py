"""The cloud `lambda` against its emulator: renting, looking, ending, and what is shared by a stack's machines."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from providers.base import MachineState, Owner
from providers.clouds.lambdalabs import marks
from providers.errors import Gone, InvalidRequest, NoCapacity, NotFound, TerminateFailed
from providers.renting.firstboot import user_data
from tests.clouds.server import Fault
from tests.support.lambdalabs import HOST_KEY, PUBLIC_KEY, REGION, SKU, Stage, spec, stage

OWNER = Owner("p", "s", "inference", "a", 1)


@pytest.fixture
def lab() -> Iterator[Stage]:
    with stage() as made:
        yield made


def test_a_machine_is_launched_with_its_name_mark_key_and_cloud_init(lab: Stage) -> None:
    machine = lab.launch(settings={"fileSystems": ["weights"], "imageFamily": "lambda-stack-24-04"})
    assert lab.cloud.get(machine.id).weights_root == "/lambda/nfs/weights"
    (body,) = [r.body for r in lab.emulator.seen if r.path.endswith("/launch")]
    (ruleset_id,) = lab.emulator.rulesets
    assert {tag["key"]: tag["value"] for tag in body.pop("tags")} == {
        "crossover:project": "p", "crossover:stack": "s", "crossover:role": "inference", "crossover:key": "a",
        "crossover:generation": "1", "crossover:port:ssh": "22", "crossover:port:vllm": "8000",
        "crossover:created-at": "2026-11-22T10:00:00+00:00",
    }  # fmt: skip
    assert body == {
        "region_name": REGION,
        "instance_type_name": SKU,
        "ssh_key_names": [marks.ssh_key_name(PUBLIC_KEY)],
        "name": "p-s-a-g1",
        "firewall_rulesets": [{"id": ruleset_id}],
        "file_system_names": ["weights"],
        "image": {"family": "lambda-stack-24-04"},
        "user_data": user_data(HOST_KEY),
    }


def test_what_lambda_boots_is_what_was_asked_for(lab: Stage) -> None:
    machine = lab.launch()
    order = lab.host.orders[machine.id]
    assert (order.authorized_keys, order.user_data, order.ports) == ((PUBLIC_KEY,), user_data(HOST_KEY), (22, 8000))


def test_a_machine_boots_then_runs_under_its_own_ports() -> None:
    with stage(boot_s=600) as lab:
        machine = lab.launch()
        assert (machine.state, machine.address, machine.bind) == (MachineState.PENDING, None, "0.0.0.0")
        lab.clock.sleep(600)
        machine = lab.cloud.get(machine.id)
    assert (machine.state, machine.address, machine.bind) == (MachineState.RUNNING, "192.0.2.1", "0.0.0.0")
    assert machine.ports == {"ssh": 22, "vllm": 8000}
    assert (machine.ssh_user, machine.host_key, machine.supervision) == ("ubuntu", "", "")
    assert (machine.root, machine.cache) == ("/opt/crossover", "/var/cache/crossover")
    assert (machine.usd_per_hour, machine.created_at) == (Decimal("22.32"), "2026-11-22T10:00:00+00:00")
    assert (machine.failure_domain, machine.status, machine.owner) == (f"lambda/{REGION}", "active", OWNER)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("booting", MachineState.PENDING),
        ("active", MachineState.RUNNING),
        ("unhealthy", MachineState.RUNNING),
        ("terminating", MachineState.TERMINATING),
        ("resting", MachineState.UNKNOWN),
    ],
)
def test_each_status_is_a_state_and_an_unknown_one_is_no_failure(lab: Stage, status: str, state: MachineState) -> None:
    machine = lab.launch()
    lab.emulator.instances[machine.id].status = status
    assert (lab.cloud.get(machine.id).state, lab.cloud.get(machine.id).status) == (state, status)


@pytest.mark.parametrize("status", ["terminated", "preempted"])
def test_an_ended_machine_that_is_still_listed_is_gone(lab: Stage, status: str) -> None:
    machine = lab.launch()
    lab.emulator.instances[machine.id].status = status
    with pytest.raises(Gone, match=status):
        lab.cloud.get(machine.id)
    assert lab.cloud.list() == []


def test_only_machines_with_our_mark_are_listed(lab: Stage) -> None:
    ours, foreign = lab.launch("a"), lab.launch("b")
    lab.launch("c", owner=Owner("q", "s", "inference", "c", 1))
    lab.emulator.instances[foreign.id].launch.tags.clear()
    assert [m.id for m in lab.cloud.list("p")] == [ours.id]
    assert len(lab.cloud.list()) == 2
    assert lab.cloud.get(foreign.id).owner is None


def test_a_mark_survives_its_way_through_tags() -> None:
    """Also where a project's name holds what other clouds' one-line marks are split at."""
    owner = Owner("a:b/c", "prod.eu", "gateway", "n-1", 12)
    found = {tag["key"]: tag["value"] for tag in marks.tags(spec(owner=owner), "2026-11-22T10:00:00+00:00")}
    assert marks.mark(found) == marks.Mark(owner, {"ssh": 22, "vllm": 8000}, "2026-11-22T10:00:00+00:00")
    assert marks.mark({}) == marks.Mark(None, {}, "")
    assert marks.mark({**found, "crossover:generation": "x", "crossover:port:ssh": "?"}).owner is None


def test_a_service_whose_name_lambda_cannot_keep_is_refused_before_anything_is_made(lab: Stage) -> None:
    with pytest.raises(InvalidRequest, match=r"crossover:port:vLLM=8000"):
        lab.launch(ports={"ssh": 22, "vLLM": 8000})
    assert lab.requests == []


def test_above_the_ceiling_nothing_is_rented_and_the_price_is_said(lab: Stage) -> None:
    lab.launch("a", max_usd_per_hour=Decimal("22.32"))
    with pytest.raises(NoCapacity, match=r"22\.32 USD/h .* above the ceiling of 22\.31 USD/h"):
        lab.launch("b", max_usd_per_hour=Decimal("22.31"))
    assert len(lab.emulator.machines) == 1


def test_without_capacity_no_launch_is_spent_and_it_is_said_where_there_is_some(lab: Stage) -> None:
    lab.emulator.capacity |= {(REGION, SKU): 0, ("us-west-1", SKU): 0}
    with pytest.raises(NoCapacity, match=rf"no {SKU} free in {REGION} now .*free in: us-west-2, europe-central-1\)"):
        lab.launch()
    assert lab.requests == ["GET /instance-types", "GET /regions"]


def test_capacity_that_goes_while_launching_is_no_capacity_and_leaves_nothing(lab: Stage) -> None:
    lab.emulator.inject(Fault.NO_CAPACITY)
    with pytest.raises(NoCapacity, match="the next candidate may do"):
        lab.launch()
    assert (lab.emulator.machines, lab.emulator.rulesets, lab.emulator.ssh_keys) == ([], {}, {})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"region": "us-eest-1"}, r"lambda has no region 'us-eest-1': choose one of us-.*us-east-1"),
        (
            {"sku": "gpu_8x_a100_80gb"},
            r"lambda has no SKU 'gpu_8x_a100_80gb': choose one of gpu_8x_a100_80gb_sxm4, gpu",
        ),
        ({"settings": {"imageFamily": "lambda-stack-25-04"}}, r"imageFamily: .*choose one of lambda-stack-24-04"),
        ({"settings": {"fileSystems": ["wieghts"]}}, r"fileSystems: .*choose one of weights"),
        ({"settings": {"fileSystems": ["far"]}}, r"no file system 'far' in us-east-1: choose one of weights"),
    ],
)
def test_wrong_names_are_answered_with_the_nearest_and_leave_nothing(
    lab: Stage, changes: dict[str, str], says: str
) -> None:
    with pytest.raises(InvalidRequest, match=says):
        lab.launch(**changes)
    assert (lab.emulator.machines, lab.emulator.rulesets, lab.emulator.ssh_keys) == ([], {}, {})


def test_its_offers_are_every_type_in_every_region_at_the_live_price(lab: Stage) -> None:
    lab.emulator.capacity[(REGION, SKU)] = 0
    offers = {(o.region, o.sku): o for o in lab.cloud.offers()}
    assert set(offers) == set(lab.emulator.capacity)
    assert not offers[REGION, SKU].available
    free = offers["us-west-1", SKU]
    assert (free.available, free.usd_per_hour, free.gpus, free.gpu_memory_gib) == (True, Decimal("22.32"), 8, 80)


def test_the_same_ssh_key_is_added_once_whatever_its_comment(lab: Stage) -> None:
    lab.launch("a")
    lab.launch("b", ssh_public_key=f"{PUBLIC_KEY} somebody@somewhere")
    assert [(k["name"], k["public_key"]) for k in lab.emulator.ssh_keys.values()] == [
        (marks.ssh_key_name(PUBLIC_KEY), PUBLIC_KEY)
    ]


def rules(lab: Stage) -> set[tuple[str, int, str]]:
    """(region, port, source) of everything that is let in."""
    return {
        (ruleset["region"]["name"], rule["port_range"][0], rule["source_network"])
        for ruleset in lab.emulator.rulesets.values()
        for rule in ruleset["rules"]
    }


def test_one_ruleset_a_stack_and_region_opens_what_its_machines_serve_and_no_more(lab: Stage) -> None:
    lab.launch("a")
    lab.launch("b")
    lab.launch("c", region="us-west-1")
    assert len(lab.emulator.rulesets) == 2
    assert rules(lab) == {(r, p, "203.0.113.7/32") for r in (REGION, "us-west-1") for p in (22, 8000)}
    lab.launch("d", ports={"ssh": 22, "endpoint": 8443, "prometheus": 9090})  # Prometheus listens on loopback
    assert {p for r, p, _ in rules(lab) if r == REGION} == {22, 8443, 8000}


def test_ports_that_no_machine_serves_any_more_are_closed_by_the_next_launch(lab: Stage) -> None:
    first = lab.launch("a")
    lab.launch("b", ports={"ssh": 22})
    lab.cloud.terminate(first.id)
    lab.launch("c", ports={"ssh": 22})
    assert {p for _, p, _ in rules(lab)} == {22}


def test_source_networks_are_those_of_the_settings(lab: Stage) -> None:
    networks = {"sourceNetworks": ["192.0.2.0/24", "198.51.100.7"]}
    a = lab.launch("a", settings=networks)
    assert {n for _, _, n in rules(lab)} == {"192.0.2.0/24", "198.51.100.7/32"}
    assert "PATCH" not in {r.method for r in lab.emulator.seen}
    lab.launch("b", settings={"sourceNetworks": ["203.0.113.0/24"]})
    assert {n for _, _, n in rules(lab)} == {"203.0.113.0/24", f"{a.address}/32"}  # that of a node, at SSH


def test_key_and_ruleset_go_with_the_last_machine_that_needs_them() -> None:
    """And not before; what belongs to others stays."""
    with stage(terminate_s=30) as lab:
        a, b, c = lab.launch("a"), lab.launch("b"), lab.launch("c", region="us-west-1")
        other = lab.launch("d", owner=Owner("p", "other stack", "inference", "d", 1))
        lab.cloud.terminate(a.id)
        assert len(lab.emulator.rulesets) == 3
        lab.cloud.terminate(b.id)
        assert {r["region"]["name"] for r in lab.emulator.rulesets.values()} == {REGION, "us-west-1"}
        lab.cloud.terminate(c.id)
        assert len(lab.emulator.rulesets) == len(lab.emulator.ssh_keys) == 1
        lab.cloud.terminate(other.id)
        assert (lab.emulator.rulesets, lab.emulator.ssh_keys, lab.emulator.machines) == ({}, {}, [])


def test_all_machines_ended_at_once_leave_nothing_behind() -> None:
    with stage(terminate_s=10) as lab:
        ids = [lab.launch(key).id for key in "abcd"]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lab.cloud.terminate, ids))
        assert (lab.emulator.rulesets, lab.emulator.ssh_keys, lab.emulator.machines) == ({}, {}, [])


def test_the_accounts_own_firewall_rules_are_never_touched(lab: Stage) -> None:
    lab.cloud.terminate(lab.launch().id)
    assert not [r for r in lab.requests if "/firewall-rules " in f"{r} " or "global" in r or r.startswith("PUT")]


def test_an_end_returns_when_it_is_confirmed() -> None:
    with stage(terminate_s=120) as lab:
        machine = lab.launch()
        lab.cloud.terminate(machine.id)
        assert lab.emulator.machines == []
        assert 120 <= lab.clock.now < 130
        with pytest.raises(NotFound):
            lab.cloud.get(machine.id)


def test_finding_01_ending_what_is_not_shown_is_asked_for_and_believed_after_the_window(lab: Stage) -> None:
    """Audit 1: the end request was never sent, and three looks were proof."""
    machine = lab.launch()
    lab.emulator.vanish(machine.id)
    before = len(lab.requests)
    lab.cloud.terminate(machine.id)
    assert "POST /instance-operations/terminate" in lab.requests[before:]
    assert lab.cloud.visibility_s <= lab.clock.now <= lab.cloud.visibility_s + 10


def test_an_end_takes_no_longer_where_nothing_is_hidden(lab: Stage) -> None:
    machine = lab.launch()
    lab.cloud.terminate(machine.id)
    assert lab.clock.now < 5


def test_a_machine_that_does_not_end_is_reported_with_id_price_and_where_to_end_it() -> None:
    with stage(terminate_s=10_000) as lab:
        machine = lab.launch()
        with pytest.raises(TerminateFailed, match="it is terminating") as failed:
            lab.cloud.terminate(machine.id)
        assert 900 - 2 <= lab.clock.now <= 900
    assert machine.id in str(failed.value)
    assert "22.32 USD/h" in str(failed.value)
    assert "https://cloud.lambda.ai/instances" in str(failed.value)


def test_a_lost_look_after_a_launch_does_not_lose_the_machine(lab: Stage) -> None:
    seen = lab.launch("a")
    lab.emulator.inject(Fault.VANISHED)
    machine = lab.launch("b")
    assert (machine.state, machine.address, machine.owner) == (
        MachineState.PENDING,
        None,
        Owner("p", "s", "inference", "b", 1),
    )
    assert machine.id != seen.id
    assert (machine.ports, machine.usd_per_hour) == (seen.ports, seen.usd_per_hour)


def test_a_machine_cannot_be_started_as_it_cannot_be_stopped(lab: Stage) -> None:
    machine = lab.launch()
    assert lab.cloud.start(machine.id) == machine


def test_the_secret_jupyter_token_is_nowhere(lab: Stage) -> None:
    machine = lab.launch()
    assert "jupyter" not in repr(machine) + repr(lab.cloud.client.instance(machine.id))


def test_the_rate_limits_are_kept_by_all_threads_together() -> None:
    """The emulator refuses a second request within a second and a second launch within twelve; none is refused."""
    with stage(paced=True, boot_s=20) as lab:
        for key in "abc":
            lab.launch(key)
        assert lab.clock.now >= 24
        assert lab.emulator.refusals == []
