"""The cloud `vastai`: it rents what was asked for, below the ceiling, on hosts of its own, and loses no contract."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import pytest

import providers.renting.rent
import providers.renting.until
from providers.base import Candidate, Machine, MachineState, NodeSpec, Owner
from providers.clouds.vastai import instances, market
from providers.clouds.vastai.client import FailedContract, VastaiClient, classify
from providers.clouds.vastai.cloud import ATTEMPTS, VastaiCloud
from providers.clouds.vastai.config import VastaiConfig, VastaiSettings, parse
from providers.clouds.vastai.instances import Label
from providers.errors import (
    Ambiguous,
    CloudError,
    InvalidRequest,
    NoCapacity,
    NotFound,
    QuotaExceeded,
    RateLimited,
    TerminateFailed,
    Unauthorized,
    Unavailable,
)
from providers.renting.answers.rows import Rows
from providers.renting.firstboot import AUTHORIZED_KEY, ENTRY, HOST_KEY
from providers.renting.hostkeys import one_use
from providers.renting.memory.duds import Duds
from providers.renting.naming import machine_name, mark
from providers.renting.presence.ending import PATIENCE_S
from providers.renting.rent import Request, rent
from providers.renting.until import Kept
from providers.transport.transport import Answer
from tests.clouds.server import Fault, Nowhere, Refusal
from tests.clouds.vastai import ENTRYPOINT, VastaiEmulator
from tests.support.clouds import Clock

SKU = "8x-a100-sxm4-80gb"
SPOT = f"{SKU}-interruptible"
HOST = one_use("a stack's private key", "n")
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE2Z1Wb2GJCbvgdM3dFVgk0UsCMfJWSMkBYGDpLbPVxX"
DISK = Decimal("0.15") * 400 / 720
"""USD/h: what the emulator's hosts take for the default disk."""


@dataclass
class World:
    """The cloud, the vendor and the time between them."""

    cloud: VastaiCloud
    vendor: VastaiEmulator
    host: Nowhere
    clock: Clock
    url: str

    def asked(self, method: str, path: str) -> list[Any]:
        """The bodies of such requests, as they arrived."""
        return [r.body for r in self.vendor.seen if r.method == method and r.path.startswith(path)]


@pytest.fixture
def world() -> Iterator[World]:
    clock, host = Clock(), Nowhere()
    vendor = VastaiEmulator(host, clock=clock, boot_s=60)
    with vendor.serving() as url:
        client = VastaiClient(VastaiConfig(vendor.key, url), clock=clock, sleep=clock.sleep)
        yield World(VastaiCloud(client), vendor, host, clock, url)


def owner(key: str = "a", **changes: Any) -> Owner:
    return replace(Owner("p", "s", "inference", key, 1), **changes)


def spec(**changes: Any) -> NodeSpec:
    values: dict[str, Any] = {
        "name": "n", "owner": owner(), "region": "any", "sku": SKU, "ssh_public_key": KEY,
        "ports": {"ssh": 22, "vllm": 8000}, "max_usd_per_hour": Decimal("15.00"), "host_key": HOST, **changes,
    }  # fmt: skip
    return NodeSpec(**values)


def running(world: World, **changes: Any) -> Machine:
    machine = world.cloud.launch(spec(**changes))
    world.clock.now += 60
    return world.cloud.get(machine.id)


# What is rented


def test_the_cheapest_fitting_offer_is_rented_and_told_alike_by_launch_look_and_listing(world: World) -> None:
    machine = world.cloud.launch(spec())
    assert machine.state is MachineState.PENDING
    assert machine.usd_per_hour == pytest.approx(Decimal("9.6") + DISK)
    looked = world.cloud.get(machine.id)
    assert world.cloud.list("p") == world.cloud.list() == [looked]
    assert world.cloud.list("another") == []
    same = ("id", "name", "region", "sku", "owner", "failure_domain", "usd_per_hour", "state", "ports")
    assert [getattr(machine, name) for name in same] == [getattr(looked, name) for name in same]


def test_a_running_machine_is_reached_under_the_ports_that_docker_gave_it(world: World) -> None:
    world.host.boot = lambda order: replace(  # type: ignore[method-assign]
        Nowhere().boot(order), ports={22: 41022, 8000: 41023}
    )
    machine = running(world)
    assert machine.state is MachineState.RUNNING
    assert machine.address == "192.0.2.1"
    assert machine.ports == {"ssh": 41022, "vllm": 41023}
    assert (machine.ssh_user, machine.root, machine.host_key) == ("root", "/opt/crossover", "")
    assert machine.created_at.endswith("+00:00")


def test_the_container_runs_our_entry_and_not_the_images_and_is_sent_no_secret_but_the_one_use_key(
    world: World,
) -> None:
    machine = world.cloud.launch(spec())
    order = world.host.orders[machine.id]
    assert order.command == ("sh", "-c", ENTRY)
    assert ENTRYPOINT[0] not in order.command
    assert set(order.environment) == {AUTHORIZED_KEY, HOST_KEY}
    assert set(order.ports) == {22, 8000}
    (sent,) = world.asked("PUT", "/api/v0/asks/")
    assert set(sent["env"]) == {AUTHORIZED_KEY, HOST_KEY, "-p 22:22", "-p 8000:8000"}
    assert (sent["runtype"], sent["cancel_unavail"], "price" in sent) == ("args", True, False)


def test_the_ceiling_is_always_sent_with_the_disk_in_the_price(world: World) -> None:
    world.cloud.launch(spec())
    (asked,) = world.asked("POST", "/api/v0/bundles/")
    assert asked["dph_total"] == {"lte": 15.0}
    assert asked["allocated_storage"] == 400
    assert asked["type"] == "on-demand"


def test_without_a_ceiling_nothing_is_rented(world: World) -> None:
    with pytest.raises(InvalidRequest, match="maxUsdPerHour is missing"):
        world.cloud.launch(spec(max_usd_per_hour=None))
    assert world.vendor.seen == []


DEFECTS = {
    "gpu_name": "A100 PCIE",
    "num_gpus": 4,
    "gpu_ram": 40_960,
    "verification": "unverified",
    "hosting_type": 0,
    "rentable": False,
    "rented": True,
    "reliability2": 0.98,
    "direct_port_count": 1,
    "cuda_max_good": 12.4,
    "disk_space": 399.0,
    "duration": 29 * 86_400.0,
    "dph_base": 15.0,
    "geolocation": "Oslo, NO",
    "machine_id": None,
    "host_id": None,
}


@pytest.mark.parametrize("field", DEFECTS)
def test_an_offer_that_lacks_one_thing_asked_for_is_not_rented_even_if_the_server_overlooks_it(
    world: World, field: str
) -> None:
    world.vendor.stock({"dph_base": 1.0, field: DEFECTS[field]})
    world.vendor.sloppy = True
    with pytest.raises(NoCapacity):
        world.cloud.launch(spec(region="US"))
    assert world.vendor.machines == []
    assert world.asked("PUT", "/api/v0/asks/") == []


def test_every_filter_of_the_query_has_a_defect_in_this_file() -> None:
    asked = market.query(market.SKUS[SKU], "US", VastaiSettings(), 2, Decimal(15))
    under = {"verified": "verification", "datacenter": "hosting_type", "reliability": "reliability2"}
    under["dph_total"] = "dph_base"
    filters = {under.get(name, name) for name, value in asked.items() if isinstance(value, dict)}
    assert filters <= set(DEFECTS)


def test_a_country_is_kept_to(world: World) -> None:
    machine = world.cloud.launch(spec(region="NO"))
    assert machine.usd_per_hour == pytest.approx(Decimal("11.2") + DISK)
    assert machine.region == world.cloud.get(machine.id).region == "NO"


def test_above_the_ceiling_there_is_no_capacity_and_the_live_prices_are_told(world: World) -> None:
    with pytest.raises(NoCapacity, match=r"at most 9 USD/h; live prices: FR 12\.88 .*US 9\.68 USD/h"):
        world.cloud.launch(spec(max_usd_per_hour=Decimal(9)))


def test_where_there_is_none_the_message_tells_where_there_is(world: World) -> None:
    with pytest.raises(NoCapacity, match=r"in JP .*live prices: FR 12\.88 USD/h, NO 11\.28 USD/h, US 9\.68 USD/h"):
        world.cloud.launch(spec(region="JP"))
    world.vendor.stock()
    with pytest.raises(NoCapacity, match="none at any price anywhere"):
        world.cloud.launch(spec())


def test_a_price_that_jumps_during_the_create_is_told_at_once(world: World) -> None:
    """tests/contract/test_prices.py: whoever rents does not pay it."""
    world.vendor.price_jump = 6.0
    machine = world.cloud.launch(spec())
    assert machine.usd_per_hour == pytest.approx(Decimal("9.6") + 6 + DISK)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sku": "8x-a100-80gb"}, f"choose one of .*{SKU}"),
        ({"region": "nowhere"}, "choose one of .*any"),
        ({"region": "us"}, "choose one of US"),
        ({"region": "UK"}, r"choose one of \w\w, .*country codes"),
        ({"settings": {"disk": 3}}, r"clouds\.vastai\.disk: unknown key \(did you mean diskGb\?\)"),
        ({"host_key": None}, "host key"),
    ],
)
def test_what_can_never_be_rented_is_refused_with_the_nearest_names_and_nobody_is_asked(
    world: World, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidRequest, match=said):
        world.cloud.launch(spec(**change))
    assert world.vendor.seen == []


def test_settings_choose_disk_image_and_how_picky_the_search_is(world: World) -> None:
    settings = {"diskGb": 600, "image": "debian:12", "minReliability": 0.9, "minDays": 7, "minCuda": "12.4"}
    world.cloud.check_settings(settings)
    world.vendor.stock({"reliability2": 0.95, "duration": 8 * 86_400.0, "cuda_max_good": 12.4})
    world.cloud.launch(spec(settings=settings))
    (sent,) = world.asked("PUT", "/api/v0/asks/")
    assert (sent["disk"], sent["image"]) == (600, "debian:12")


@pytest.mark.parametrize("wrong", [{"diskGb": "400"}, {"minReliability": 2}, {"bidUsdPerHour": "0"}, {"image": ""}])
def test_a_setting_of_the_wrong_kind_is_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match=rf"clouds\.vastai\.{next(iter(wrong))}"):
        parse(wrong)


def test_offers_tell_the_cheapest_of_each_sku_in_each_country_and_anywhere(world: World) -> None:
    offers = {(o.region, o.sku): o for o in world.cloud.offers()}
    assert {region for region, sku in offers if sku == SKU} == {"any", "US", "NO", "FR"}
    assert offers["any", SKU].usd_per_hour == offers["US", SKU].usd_per_hour == pytest.approx(Decimal("9.6") + DISK)
    assert offers["NO", SPOT].usd_per_hour == pytest.approx(Decimal("5") + DISK)
    assert (offers["any", SKU].gpus, offers["any", SKU].gpu_memory_gib) == (8, 80)
    assert ("any", "8x-a100-sxm4-40gb") in offers
    assert ("any", "1x-a100-sxm4-80gb") not in offers


# Redundancy


def test_two_nodes_of_a_fleet_share_neither_machine_nor_host(world: World) -> None:
    world.vendor.stock(
        {"machine_id": 1, "host_id": 7, "dph_base": 9.0},
        {"machine_id": 2, "host_id": 7, "dph_base": 9.1},
        {"machine_id": 3, "host_id": 8, "dph_base": 9.2},
    )
    first = world.cloud.launch(spec(name="a"))
    second = world.cloud.launch(spec(name="b", owner=owner("b")))
    assert (first.failure_domain, second.failure_domain) == ("vastai/1/7", "vastai/3/8")
    with pytest.raises(NoCapacity, match=r"the fleet, or a dud .*is on each of the 1 machines or hosts that fit"):
        world.cloud.launch(spec(name="c", owner=owner("c")))


def test_another_fleet_may_have_the_same_host(world: World) -> None:
    world.vendor.stock({"machine_id": 1, "host_id": 7}, {"machine_id": 2, "host_id": 7})
    world.cloud.launch(spec())
    other = world.cloud.launch(spec(name="b", owner=owner("b", stack="other")))
    assert other.failure_domain == "vastai/2/7"


# Offers that are gone, bids that fail


def test_an_offer_that_somebody_else_took_leads_to_the_next_one(world: World) -> None:
    asks = world.vendor.stock({"dph_base": 9.0}, {"dph_base": 9.1}, {"dph_base": 9.2})
    world.vendor.snatched = {asks[0]}
    del world.vendor.offers[asks[1]]
    machine = world.cloud.launch(spec())
    assert machine.usd_per_hour == pytest.approx(Decimal("9.2") + DISK)
    assert world.vendor.machines == [machine.id]


def test_an_ask_that_ceased_to_exist_is_skipped_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asks = world.vendor.stock({"dph_base": 9.0}, {"dph_base": 9.1})
    search = world.cloud.client.search

    def gone(query: Any) -> list[dict[str, Any]]:
        found = search(query)
        world.vendor.offers.pop(asks[0], None)
        return found

    monkeypatch.setattr(world.cloud.client, "search", gone)
    assert world.cloud.launch(spec()).usd_per_hour == pytest.approx(Decimal("9.1") + DISK)


def test_no_more_than_25_offers_are_tried(world: World) -> None:
    asks = world.vendor.stock(*[{"dph_base": 9.0} for _ in range(ATTEMPTS + 5)])
    world.vendor.snatched = set(asks)
    with pytest.raises(NoCapacity, match=r"no longer available.*\(25 refusals\)"):
        world.cloud.launch(spec())
    assert len(world.asked("PUT", "/api/v0/asks/")) == ATTEMPTS


def test_an_interruptible_machine_is_bid_for_with_what_the_ceiling_leaves_beside_the_disk(world: World) -> None:
    world.vendor.stock({"min_bid": 5.0})
    machine = world.cloud.launch(spec(sku=SPOT, max_usd_per_hour=Decimal(6)))
    (asked,), (sent,) = world.asked("POST", "/api/v0/bundles/"), world.asked("PUT", "/api/v0/asks/")
    assert (asked["type"], asked["dph_total"]) == ("bid", {"lte": 6.0})
    assert Decimal(str(sent["price"])) == Decimal("5.916")  # 6 − 400 GB × 0.15 USD/month, rounded down
    assert machine.usd_per_hour is not None
    assert machine.usd_per_hour <= 6
    assert world.cloud.get(machine.id).usd_per_hour == pytest.approx(machine.usd_per_hour)
    assert world.cloud.get(machine.id).sku == SPOT


def test_a_bid_in_the_settings_is_used_below_the_ceiling(world: World) -> None:
    world.cloud.launch(spec(sku=SPOT, settings={"bidUsdPerHour": "5.5"}))
    assert world.asked("PUT", "/api/v0/asks/")[0]["price"] == 5.5


def test_a_bid_that_cannot_win_is_not_made(world: World) -> None:
    with pytest.raises(NoCapacity, match=r"takes no bid below 5\.0 USD/h"):
        world.cloud.launch(spec(sku=SPOT, settings={"bidUsdPerHour": "4"}))
    assert world.asked("PUT", "/api/v0/asks/") == []


def test_the_contract_that_a_failed_bid_leaves_is_ended_before_the_next_candidate(world: World) -> None:
    world.vendor.failing_bids = 1
    with pytest.raises(NoCapacity, match=r"contract \d+ that it left was ended and is confirmed gone"):
        world.cloud.launch(spec(sku=SPOT))
    assert world.vendor.machines == []


def test_a_failed_bids_contract_that_cannot_be_ended_is_reported_with_its_id(world: World) -> None:
    world.vendor.failing_bids, world.vendor.undying = 1, True
    with pytest.raises(TerminateFailed) as e:
        world.cloud.launch(spec(sku=SPOT))
    (left,) = world.vendor.machines
    assert f"vastai destroy instance {left}" in str(e.value)
    assert "USD/h" in str(e.value)


# States


def row(**changes: Any) -> dict[str, Any]:
    return {"id": 1, "machine_id": 2, "host_id": 3, "dph_total": 9.6, "intended_status": "running", **changes}


@pytest.mark.parametrize(
    ("actual", "state"),
    [
        (None, MachineState.PENDING), ("created", MachineState.PENDING), ("loading", MachineState.PENDING),
        ("rebooting", MachineState.PENDING), ("running", MachineState.RUNNING), ("stopped", MachineState.STOPPED),
        ("frozen", MachineState.STOPPED), ("exited", MachineState.STOPPED), ("offline", MachineState.UNKNOWN),
        ("unknown", MachineState.UNKNOWN), ("hibernating", MachineState.UNKNOWN),
    ],
)  # fmt: skip
def test_each_state_string_has_its_meaning_and_an_unknown_one_crashes_nothing(
    actual: str | None, state: MachineState
) -> None:
    assert instances.machine(row(actual_status=actual)).state is state


def test_a_contract_that_was_created_stopped_is_stopped() -> None:
    assert instances.state(row(actual_status=None, intended_status="stopped")) is MachineState.STOPPED


def test_ports_are_unknown_until_docker_tells_them() -> None:
    label = str(Label.of(spec()))
    for ports in (None, [8080], {}, {"8000/tcp": None}):
        assert instances.machine(row(label=label, ports=ports)).ports == {}


def test_it_boots_by_the_vendors_clock(world: World) -> None:
    machine = world.cloud.launch(spec())
    seen = []
    for _ in range(3):
        seen.append(world.cloud.get(machine.id).status.partition(":")[0])
        world.clock.now += 31
    assert seen == ["being provisioned", "loading", "running"]


@pytest.mark.parametrize("fault", [Fault.SLOW_BOOT, Fault.STUCK])
def test_a_host_that_is_not_ready_stays_pending(world: World, fault: Fault) -> None:
    world.vendor.inject(fault)
    assert running(world).state is MachineState.PENDING


def test_an_outbid_machine_is_stopped_says_so_and_is_no_machine_to_wait_for(world: World) -> None:
    machine = running(world, sku=SPOT)
    world.vendor.outbid(machine.id)
    found = world.cloud.get(machine.id)
    assert (found.state, found.status.partition(":")[0]) == (MachineState.STOPPED, "outbid")
    with pytest.raises(NoCapacity, match="was outbid"):
        world.cloud.start(machine.id)


def test_a_stopped_machine_is_started_once_and_one_that_already_should_run_is_left_alone(world: World) -> None:
    machine = running(world)
    world.cloud.client._succeed("PUT", f"/api/v0/instances/{machine.id}/", {"state": "stopped"})
    assert world.cloud.get(machine.id).state is MachineState.STOPPED
    assert world.cloud.start(machine.id).state is MachineState.PENDING
    world.clock.now += 60
    assert world.cloud.start(machine.id).state is MachineState.RUNNING
    assert world.asked("PUT", "/api/v0/instances/")[1:] == [{"state": "running"}]


def renting(world: World, **changes: Any) -> Request:
    candidate = Candidate("vastai", "any", changes.pop("sku", SKU), Decimal(15))
    return Request(owner(), (candidate,), KEY, "the SSH key", {"ssh": 22}, 1, 300.0, **changes)


@pytest.fixture
def with_host_key(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Renting gives the cloud a one-use host key, whatever the state of providers.renting.rent."""
    launch = world.cloud.launch
    monkeypatch.setattr(world.cloud, "launch", lambda spec: launch(replace(spec, host_key=spec.host_key or HOST)))
    monkeypatch.setattr(providers.renting.until, "first_contact", lambda machine, key: machine)


@pytest.mark.usefixtures("with_host_key")
def test_an_outbid_host_is_destroyed_before_first_contact_and_at_once(world: World) -> None:
    def outbid() -> None:
        for number in world.vendor.machines:
            world.vendor.outbid(number)

    world.clock.on_sleep = outbid
    with pytest.raises(NoCapacity, match=r"was outbid.*confirmed gone"):
        rent(renting(world, sku=SPOT), lambda _: world.cloud, world.clock.waiting())
    assert world.vendor.machines == []
    assert world.clock.now < 60


@pytest.mark.usefixtures("with_host_key")
def test_public_bug_8_a_never_ready_host_is_destroyed_and_another_one_rented(world: World) -> None:
    """Public bug 8: of four rents of Vast.ai's three were duds, and each time the same host was the cheapest."""
    world.vendor.inject(Fault.STUCK)
    duds = Duds(now=world.clock)
    machine = rent(renting(world), lambda _: world.cloud, world.clock.waiting(), duds)
    assert world.vendor.machines == [machine.id]
    (dud,) = duds.left_out().values()
    assert "was not reached in 300 s" in dud.why
    assert dud.scope != machine.failure_domain


def test_public_bug_8_a_host_that_loses_an_hour_of_a_hundred_must_cost_a_tenth_less(world: World) -> None:
    """Public bug 8: price × (1 + 10 × (1 − reliability)): 10 × 1.1 = 11 and 10.9 × 1."""
    world.vendor.stock({"dph_base": 10.0, "reliability2": 0.99}, {"dph_base": 10.8, "reliability2": 1.0})
    assert world.cloud.launch(spec()).usd_per_hour == pytest.approx(Decimal("10.8") + DISK)
    world.vendor.stock({"dph_base": 10.0, "reliability2": 0.99}, {"dph_base": 11.1, "reliability2": 1.0})
    assert world.cloud.launch(spec(name="m")).usd_per_hour == pytest.approx(Decimal("10") + DISK)


@pytest.mark.usefixtures("with_host_key")
def test_an_outbid_machine_that_was_there_before_is_kept(world: World) -> None:
    machine = rent(renting(world, sku=SPOT), lambda _: world.cloud, world.clock.waiting())
    world.vendor.outbid(machine.id)
    with pytest.raises(Kept, match="was outbid"):
        rent(renting(world, sku=SPOT), lambda _: world.cloud, world.clock.waiting())
    assert world.vendor.machines == [machine.id]


@pytest.mark.usefixtures("with_host_key")
@pytest.mark.parametrize("fault", [Fault.CREATED_BUT_500, Fault.CREATED_BUT_RESET])
def test_a_create_whose_answer_was_lost_is_found_again_and_not_repeated(world: World, fault: Fault) -> None:
    world.vendor.inject(fault)
    machine = rent(renting(world), lambda _: world.cloud, world.clock.waiting())
    assert world.vendor.machines == [machine.id]
    assert len(world.asked("PUT", "/api/v0/asks/")) == 1


# The label


@pytest.mark.parametrize("ports", [{}, {"ssh": 22}, {"ssh": 22, "vllm": 8000}])
def test_the_label_is_read_back_as_it_was_written(ports: dict[str, int]) -> None:
    label = Label.of(spec(ports=ports, region="NO", sku=SPOT))
    assert Label.parse(str(label)) == label
    assert len(str(label)) <= 1024


def test_a_label_cut_in_the_console_still_tells_whose_machine_it_is() -> None:
    label = Label.parse(mark(owner()))
    assert label is not None
    assert (label.owner, label.name) == (owner(), machine_name(owner()))


def test_instances_of_others_are_not_ours(world: World) -> None:
    assert all(Label.parse(text) is None for text in ("", "ML Training Job", "crossover", "crossover:p:s:i:a:x n"))
    mine = world.cloud.launch(spec())
    world.cloud.client._succeed("PUT", f"/api/v0/instances/{mine.id}/", {"label": "renamed"})
    assert world.cloud.list() == []
    assert world.cloud.get(mine.id).owner is None


def test_the_listing_is_read_to_its_last_page(world: World) -> None:
    world.vendor.page = 2
    machines = [world.cloud.launch(spec(name=key, owner=owner(key))) for key in "abcd"]
    assert [m.id for m in world.cloud.list("p")] == [m.id for m in machines]
    pages = [request for request in world.vendor.seen if request.path == "/api/v1/instances/"]
    assert pages[-1].query["after_token"]


# The end


def test_an_ended_machine_is_confirmed_gone_and_may_be_ended_again(world: World) -> None:
    machine = world.cloud.launch(spec())
    world.cloud.terminate(machine.id)
    assert world.vendor.machines == []
    assert world.host.orders == {}
    with pytest.raises(NotFound):
        world.cloud.get(machine.id)
    world.cloud.terminate(machine.id)


def test_a_machine_that_does_not_go_is_reported_with_what_ends_it_by_hand(world: World) -> None:
    machine = world.cloud.launch(spec())
    world.vendor.undying = True
    with pytest.raises(TerminateFailed) as e:
        world.cloud.terminate(machine.id)
    assert world.clock.now == pytest.approx(PATIENCE_S, abs=60)
    assert f"vastai destroy instance {machine.id}" in str(e.value)
    assert "9.68" in str(e.value)
    assert "https://" in str(e.value)


@pytest.mark.parametrize("fault", [Fault.REFUSED_500, Fault.RATE_LIMITED, Fault.RATE_LIMITED_SILENT])
def test_ending_goes_on_through_trouble(world: World, fault: Fault) -> None:
    machine = world.cloud.launch(spec())
    world.vendor.inject(fault, times=8)
    world.cloud.terminate(machine.id)
    assert world.vendor.machines == []


def test_a_vanished_machine_is_not_found(world: World) -> None:
    machine = world.cloud.launch(spec())
    world.vendor.inject(Fault.VANISHED)
    with pytest.raises(NotFound):
        world.cloud.get(machine.id)
    assert world.cloud.list() == []


def test_what_is_no_id_of_vast_is_refused(world: World) -> None:
    for call in (world.cloud.get, world.cloud.start, world.cloud.terminate):
        with pytest.raises(InvalidRequest, match="is no id of a Vast"):
            call("m-1a2b3c4d")


# Faults and refusals


@pytest.mark.parametrize(
    "fault", [Fault.REFUSED_500, Fault.RATE_LIMITED, Fault.RATE_LIMITED_SILENT, Fault.TRUNCATED_JSON]
)
def test_reads_go_on_through_passing_trouble(world: World, fault: Fault) -> None:
    machine = world.cloud.launch(spec())
    world.vendor.inject(fault)
    assert world.cloud.get(machine.id).id == machine.id
    world.vendor.inject(fault)
    assert [m.id for m in world.cloud.list()] == [machine.id]


def inject_at_create(world: World, fault: Fault, times: int = 1) -> None:
    """Search and listing pass; the create that follows meets the fault."""
    create = world.cloud.client.create

    def faulty(offer_id: int, order: Any) -> int:
        world.vendor.inject(fault, times)
        return create(offer_id, order)

    world.cloud.client.create = faulty  # type: ignore[method-assign]


@pytest.mark.parametrize("fault", [Fault.RATE_LIMITED, Fault.RATE_LIMITED_SILENT])
def test_a_create_refused_for_haste_is_repeated(world: World, fault: Fault) -> None:
    inject_at_create(world, fault)
    machine = world.cloud.launch(spec())
    assert world.vendor.machines == [machine.id]


def test_a_create_refused_for_haste_for_too_long_has_made_nothing(world: World) -> None:
    inject_at_create(world, Fault.RATE_LIMITED_SILENT, times=99)
    with pytest.raises(RateLimited):
        world.cloud.launch(spec())
    assert world.vendor.machines == []


@pytest.mark.parametrize(
    "fault", [Fault.REFUSED_500, Fault.CREATED_BUT_500, Fault.CREATED_BUT_RESET, Fault.TRUNCATED_JSON]
)
def test_a_create_without_an_answer_to_trust_is_ambiguous_and_no_second_offer_is_tried(
    world: World, fault: Fault
) -> None:
    inject_at_create(world, fault)
    with pytest.raises(Ambiguous):
        world.cloud.launch(spec())
    assert len(world.vendor.machines) == (fault is not Fault.REFUSED_500)


def test_an_empty_market_is_no_capacity(world: World) -> None:
    world.vendor.inject(Fault.NO_CAPACITY)
    with pytest.raises(NoCapacity, match="vastai has no 8x-a100-sxm4-80gb in any"):
        world.cloud.launch(spec())


def test_an_unknown_state_crashes_nothing(world: World) -> None:
    machine = running(world)
    world.vendor.inject(Fault.UNKNOWN_STATE)
    assert world.cloud.get(machine.id).state is MachineState.UNKNOWN
    assert world.cloud.get(machine.id).state is MachineState.RUNNING


@pytest.mark.parametrize("call", ["offers", "list", "launch", "get", "terminate"])
def test_a_missing_key_is_told_on_the_first_call_with_the_variable_and_where_keys_are_made(call: str) -> None:
    cloud = VastaiCloud(VastaiClient(VastaiConfig("")))
    arguments = {"launch": (spec(),), "get": ("1",), "terminate": ("1",)}.get(call, ())
    with pytest.raises(CloudError, match=r"VAST_API_KEY is not set.*https://cloud\.vast\.ai"):
        getattr(cloud, call)(*arguments)


def test_the_environment_names_key_and_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAST_API_KEY", " k\n")
    monkeypatch.setenv("CROSSOVER_VASTAI_URL", "http://127.0.0.1:1/")
    config = VastaiConfig.from_environment()
    assert (config.api_key, config.base_url) == ("k", "http://127.0.0.1:1")
    assert "api_key" not in repr(config)
    monkeypatch.delenv("VAST_API_KEY")
    assert VastaiCloud.from_environment().name == "vastai"


def test_an_unreachable_api_is_unavailable_and_never_absence() -> None:
    clock = Clock()
    client = VastaiClient(VastaiConfig("k", "http://127.0.0.1:1"), clock=clock, sleep=clock.sleep)
    with pytest.raises(Unavailable, match="cannot be reached"):
        VastaiCloud(client).get("1")


ASK, INSTANCE = "PUT /api/v0/asks/7/", "GET /api/v0/instances/7/"


@pytest.mark.parametrize(
    ("status", "body", "what", "expected"),
    [
        (400, {"success": False, "error": "invalid_args", "msg": "image"}, ASK, InvalidRequest),
        (400, {"success": False, "error": "invalid_price", "msg": "bid"}, ASK, InvalidRequest),
        (400, {"success": False, "error": "insufficient_credit", "msg": "credit"}, ASK, QuotaExceeded),
        (402, {"msg": "no balance"}, ASK, QuotaExceeded),
        (401, {"success": False, "error": "auth_error", "msg": "Invalid user key"}, INSTANCE, Unauthorized),
        (403, {"success": False, "error": "forbidden", "msg": "missing permission"}, INSTANCE, Unauthorized),
        (403, {"success": False, "error": "invalid_args", "msg": "not your own"}, ASK, InvalidRequest),
        (404, {"success": False, "error": "invalid_args", "msg": "error 404/3603: no_such_ask"}, ASK, NoCapacity),
        (410, {"success": False, "error": "no_such_ask", "msg": "gone"}, ASK, NoCapacity),
        (410, {"success": False, "error": "no_such_ask", "msg": "x", "new_contract": 5}, ASK, FailedContract),
        (410, {"success": False, "error": "deprecated_endpoint", "msg": "use v1"}, INSTANCE, InvalidRequest),
        (404, {"success": False, "error": "no_such_instance", "msg": "gone"}, INSTANCE, NotFound),
        (404, "<html>404</html>", INSTANCE, Unavailable),
        (404, None, ASK, Unavailable),
    ],
)
def test_each_refusal_has_one_class_and_one_line(status: int, body: Any, what: str, expected: type[CloudError]) -> None:
    error = classify(Answer(status, body), what)
    assert type(error) is expected
    assert "\n" not in str(error)
    assert str(error).startswith("vastai refused")
    assert what in str(error)


def test_no_message_holds_a_key_even_if_the_vendor_quotes_it(world: World) -> None:
    key = "0123456789abcdef" * 4
    sent = Answer(400, {"error": "invalid_args", "msg": f"bad env: {{'K': '{key}'}}"})
    assert key not in str(classify(sent, ASK))
    client = VastaiClient(VastaiConfig(key, world.url), clock=world.clock, sleep=world.clock.sleep)
    messages = []
    for call in (VastaiCloud(client).list, VastaiCloud(client).offers, lambda: VastaiCloud(client).get("1")):
        with pytest.raises(Unauthorized, match="VAST_API_KEY") as e:
            call()
        messages.append(str(e.value))
    assert all(key not in message and "\n" not in message for message in messages)
    assert key not in repr(client)


# The emulator is as strict as the vendor


@pytest.mark.parametrize(
    "change",
    [
        {"colour": "red"}, {"image": None}, {"runtype": "ssh"}, {"price": 0}, {"price": 200}, {"env": "-p 22:22"},
        {"env": {"-p x": "1"}}, {"env": {"A": 1}}, {"label": "x" * 1025}, {"onstart": "x" * 4049}, {"args": [1]},
        {"disk": 9000},
    ],
)  # fmt: skip
def test_the_emulator_refuses_what_the_vendor_would(world: World, change: dict[str, Any]) -> None:
    (ask,) = world.vendor.stock({})
    order = {"image": "debian:12", "disk": 100, "runtype": "args", **change}
    with pytest.raises(InvalidRequest):
        world.cloud.client.create(ask, order)
    assert world.vendor.machines == []


@pytest.mark.parametrize(
    "query", [{"gpu": {"eq": 1}}, {"gpu_name": "A100"}, {"gpu_name": {"like": "A"}}, {"type": "x"}]
)
def test_the_emulator_refuses_a_search_that_is_none(world: World, query: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        world.cloud.client.search(query)


def test_the_emulators_rate_limit_is_a_text_as_the_vendors_is(world: World) -> None:
    refusal = world.vendor.failure(429)
    assert isinstance(refusal, Refusal)
    assert refusal.body.startswith("API requests too frequent")


def test_a_look_is_one_listing_and_what_is_not_listed_yet_is_asked_for_by_its_id(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = world.cloud.launch(spec())
    seen = len(world.vendor.seen)
    found = world.cloud.get(machine.id)
    assert [(r.method, r.path) for r in world.vendor.seen[seen:]] == [("GET", "/api/v1/instances/")]
    monkeypatch.setattr(world.cloud.client, "look", lambda: Rows([]))
    assert world.cloud.get(machine.id) == found


def test_all_who_wait_in_a_process_share_one_client() -> None:
    assert VastaiCloud.from_environment().client is VastaiCloud.from_environment().client
