"""RunPod's client and cloud against the emulator, on a clock that only moves when somebody sleeps."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.base import Machine, MachineState, NodeSpec, Owner, plain_host
from providers.clouds.runpod.client import RunpodClient, classify
from providers.clouds.runpod.cloud import RunpodCloud
from providers.clouds.runpod.config import DEFAULT_IMAGE, SKUS, RunpodConfig, parse
from providers.clouds.runpod.interruptible import Interruptible, mutation
from providers.errors import (
    Ambiguous,
    CloudError,
    Gone,
    InvalidRequest,
    NoCapacity,
    NotFound,
    QuotaExceeded,
    RateLimited,
    TerminateFailed,
    Unauthorized,
    Unavailable,
)
from providers.renting import hostkeys
from providers.renting.answers.rows import Rows
from providers.renting.firstboot import AUTHORIZED_KEY, ENTRY, HOST_KEY
from providers.renting.presence.ending import PATIENCE_S
from providers.transport.transport import Answer
from tests.clouds.runpod import GPU, RunpodEmulator
from tests.clouds.runpod_graphql import operation
from tests.clouds.server import Boot, Booted, Fault, Nowhere
from tests.support.clouds import Clock
from tests.support.ports import free_port

KEY = "rpa_SECRET1234567890"
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE2Z1Wb2GJCbvgdM3dFVgk0UsCMfJWSMkBYGDpLbPVxX"
HOST = hostkeys.one_use("a private SSH key", "node-a")
OWNER = Owner("p", "s", "inference", "a", 1)
SECURE, SPOT = "8x-a100-sxm-80gb-secure", "8x-a100-sxm-80gb-spot"
ROOT = Path(__file__).resolve().parents[5]


class Moving(Nowhere):
    """Every boot is reached under other ports, as after RunPod's resets."""

    boots = 0

    def boot(self, order: Boot) -> Booted:
        self.boots += 1
        self.orders[order.machine_id] = order
        return Booted("192.0.2.1", {port: 10000 * self.boots + port for port in order.ports})


@dataclass
class Bench:
    """A cloud, its emulator and their clock."""

    cloud: RunpodCloud
    api: RunpodEmulator
    host: Moving
    clock: Clock

    def launch(self, **changes: Any) -> Machine:
        return self.cloud.launch(spec(**changes))

    def refused(self, error: type[CloudError], call: Callable[[], object]) -> str:
        """The message with which `call` is refused; no message may hold a secret or more than one line."""
        with pytest.raises(error) as caught:
            call()
        shown: BaseException | None = caught.value
        assert type(caught.value) is error
        while shown is not None:
            assert KEY not in str(shown)
            assert HOST.private.splitlines()[1] not in str(shown)
            shown = shown.__cause__ or shown.__context__
        assert "\n" not in str(caught.value)
        return str(caught.value)


def spec(**changes: Any) -> NodeSpec:
    values: dict[str, Any] = {
        "name": "p-s-a-g1", "owner": OWNER, "region": "US-KS-2", "sku": SECURE, "ssh_public_key": PUBLIC_KEY,
        "ports": {"ssh": 22, "vllm": 8000}, "host_key": HOST, **changes,
    }  # fmt: skip
    return NodeSpec(**values)


@pytest.fixture
def bench() -> Iterator[Bench]:
    clock, host = Clock(), Moving()
    api = RunpodEmulator(host, clock=clock, key=KEY)
    with api.serving() as url:
        client = RunpodClient(RunpodConfig(KEY, url), clock=clock, sleep=clock.sleep)
        yield Bench(RunpodCloud(client), api, host, clock)


# What is ordered, and what comes back


@pytest.mark.parametrize("sku", [SECURE, SPOT])
def test_a_pod_is_our_ssh_server_with_the_one_use_host_key_and_nothing_else_secret(bench: Bench, sku: str) -> None:
    machine = bench.launch(sku=sku)
    order = bench.host.orders[machine.id]
    assert order.command == ("sh", "-c", ENTRY)
    assert set(order.environment) == {AUTHORIZED_KEY, HOST_KEY, "CROSSOVER_OWNER", "CROSSOVER_LAUNCH"}
    assert order.environment[AUTHORIZED_KEY] == PUBLIC_KEY
    assert order.ports == (22, 8000)


def test_both_kinds_of_pod_are_ordered_alike(bench: Bench) -> None:
    settings = {"volumeId": "vol_weights", "volumeMountPath": '/mödels "x"', "diskGb": 77}
    a = bench.launch(settings=settings, region="EU-RO-1")
    b = bench.launch(settings=settings, region="EU-RO-1", sku=SPOT)
    first, second = (dict(bench.api.pods[machine.id].order) for machine in (a, b))
    for order in (first, second):
        order["env"] = {k: v for k, v in order["env"].items() if k != "CROSSOVER_LAUNCH"}  # holds the SKU
    assert first.pop("gpu") == {"id": GPU, "count": 8, "minCudaVersion": "13.0"}
    assert second.pop("gpu") == {"id": GPU, "count": 8, "allowedCudaVersions": ["13.0"]}
    assert first == second


@pytest.mark.parametrize(("sku", "usd_per_gpu_hour"), [(SECURE, "1.79"), (SPOT, "0.95")])
def test_a_pod_boots_and_is_then_reached_under_the_ports_of_its_services(
    bench: Bench, sku: str, usd_per_gpu_hour: str
) -> None:
    bench.api.boot_s = 20
    launched = bench.launch(sku=sku)
    assert (launched.state, launched.address, launched.ports) == (MachineState.PENDING, None, {})
    bench.clock.now = 10
    assert bench.cloud.get(launched.id).status == "STARTING"
    bench.clock.now = 20
    running = bench.cloud.get(launched.id)
    assert running == replace(
        launched, state=MachineState.RUNNING, status="RUNNING", address="192.0.2.1",
        ports={"ssh": 10022, "vllm": 18000}, created_at="2026-11-22T00:00:00Z",
    )  # fmt: skip
    assert (running.region, running.failure_domain, running.sku) == ("US-KS-2", "runpod/US-KS-2", sku)
    assert running.usd_per_hour == 8 * Decimal(usd_per_gpu_hour)
    assert (running.ssh_user, running.host_key, running.supervision) == ("root", "", "")


def test_ports_that_change_after_a_reset_are_followed(bench: Bench) -> None:
    machine = bench.launch()
    before = bench.cloud.get(machine.id).ports
    bench.api.pods[machine.id].stopped = True
    bench.cloud.start(machine.id)
    assert before == {"ssh": 10022, "vllm": 18000}
    assert bench.cloud.get(machine.id).ports == {"ssh": 20022, "vllm": 28000}


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("PROVISIONING", MachineState.PENDING), ("STARTING", MachineState.PENDING), ("RUNNING", MachineState.RUNNING),
        ("EXITED", MachineState.STOPPED), ("ERROR", MachineState.STOPPED), ("NEW WORD", MachineState.UNKNOWN),
    ],
)  # fmt: skip
def test_every_state_string_is_understood_and_kept(
    bench: Bench, status: str, state: MachineState, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = bench.launch()
    monkeypatch.setattr(bench.api, "_status", lambda pod: status)
    seen = bench.cloud.get(machine.id)
    assert (seen.state, seen.status) == (state, status)


def test_a_terminated_pod_is_not_found_and_not_listed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = bench.launch()
    monkeypatch.setattr(bench.api, "_status", lambda pod: "TERMINATED")
    bench.refused(Gone, lambda: bench.cloud.get(machine.id))
    assert bench.cloud.list() == []


@pytest.mark.parametrize("sku", [SECURE, SPOT])
def test_the_mark_comes_back_and_foreign_pods_are_none_of_ours(bench: Bench, sku: str) -> None:
    machine = bench.launch(sku=sku)
    theirs = {"name": "p-s-a-g1", "image": "busybox:1", "gpu": {"id": GPU, "count": 1}, "env": {}}
    bench.cloud.client.create_pod(theirs)
    assert [(m.id, m.name, m.owner) for m in bench.cloud.list("p")] == [(machine.id, "p-s-a-g1", OWNER)]
    assert bench.cloud.list("another project") == []


def test_a_pod_whose_environment_somebody_edited_is_still_listed(bench: Bench) -> None:
    machine = bench.launch()
    bench.api.pods[machine.id].order["env"]["CROSSOVER_LAUNCH"] = "[not JSON"
    (listed,) = bench.cloud.list("p")
    assert (listed.id, listed.ports, listed.region) == (machine.id, {}, "US-KS-2")


# What is refused before anything is rented


@pytest.mark.parametrize(
    ("change", "nearest"),
    [
        ({"sku": "8x-a100-sxm-80gb-secur"}, f"choose one of {SECURE}"),
        ({"region": "US-KS-3"}, "choose one of US-KS-2"),
        ({"region": "us-ks-2"}, "choose one of"),
    ],
)
def test_wrong_names_are_answered_with_the_nearest_right_ones(
    bench: Bench, change: dict[str, str], nearest: str
) -> None:
    assert nearest in bench.refused(InvalidRequest, lambda: bench.launch(**change))
    assert bench.api.machines == []


@pytest.mark.parametrize(("sku", "price"), [(SECURE, "14.32"), (SPOT, "7.6")])
def test_nothing_is_rented_above_the_ceiling_and_the_live_price_is_told(bench: Bench, sku: str, price: str) -> None:
    below = Decimal(price) - Decimal("0.01")
    assert f"asks {price}" in bench.refused(NoCapacity, lambda: bench.launch(sku=sku, max_usd_per_hour=below))
    assert bench.api.machines == []
    assert bench.launch(sku=sku, max_usd_per_hour=Decimal(price)).usd_per_hour == Decimal(price)


@pytest.mark.parametrize("sku", [SECURE, SPOT])
def test_where_nothing_is_free_nothing_is_ordered_and_other_places_are_named(bench: Bench, sku: str) -> None:
    bench.api.stock = {"US-KS-2": 7, "EU-RO-1": 8, "CA-MTL-1": 0}
    message = bench.refused(NoCapacity, lambda: bench.launch(sku=sku))
    assert message.endswith("free in: EU-RO-1")
    bench.api.stock = {"US-KS-2": 7}
    assert bench.refused(NoCapacity, lambda: bench.launch(sku=sku, region="any")).endswith("free in: nowhere")
    assert not [r for r in bench.api.seen if r.path == "/v2/pods"]


def test_any_region_is_where_the_scheduler_finds_room(bench: Bench) -> None:
    bench.api.stock = {"US-KS-2": 0, "EU-RO-1": 8}
    machine = bench.launch(region="any")
    assert (machine.region, machine.failure_domain) == ("EU-RO-1", "runpod/EU-RO-1")


@pytest.mark.parametrize("sku", [SECURE, SPOT])
def test_any_region_keeps_siblings_apart_though_a_pod_says_late_where_it_is(bench: Bench, sku: str) -> None:
    """A pod that is being provisioned names no data centre: the order's own counts until then."""
    bench.api.stock = {"US-KS-2": 32, "EU-RO-1": 8}
    first = bench.launch(sku=sku, region="any")
    assert bench.cloud.get(first.id).failure_domain == first.failure_domain == "runpod/US-KS-2"
    second = bench.launch(sku=sku, region="any", name="n2", full=frozenset({first.failure_domain}))
    assert second.failure_domain == "runpod/EU-RO-1"
    both = frozenset({first.failure_domain, second.failure_domain})
    refused = bench.refused(NoCapacity, lambda: bench.launch(sku=sku, region="any", name="n3", full=both))
    assert "where the fleet has room (it is in runpod/EU-RO-1, runpod/US-KS-2)" in refused


@pytest.mark.parametrize("sku", [SECURE, SPOT])
def test_any_region_goes_on_where_the_catalogue_promised_too_much(bench: Bench, sku: str) -> None:
    bench.api.stock = {"US-KS-2": 32, "EU-RO-1": 8}
    bench.api.inject(Fault.NO_CAPACITY)
    assert bench.launch(sku=sku, region="any").region == "EU-RO-1"


def test_a_volume_is_not_shared_within_a_data_centre_that_is_full(bench: Bench) -> None:
    full = frozenset({"runpod/EU-RO-1"})
    refused = bench.refused(
        NoCapacity, lambda: bench.launch(settings={"volumeId": "vol_weights"}, region="any", full=full)
    )
    assert "vol_weights is in EU-RO-1" in refused


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"image": "vllm/vllm-openai"}, "clouds.runpod.image: "),
        ({"image": "registry.example:5000/vllm"}, "clouds.runpod.image: "),
        ({"image": "vllm/vllm-openai:latest"}, DEFAULT_IMAGE),
        ({"diskGb": "200"}, "clouds.runpod.diskGb: "),
        ({"minCudaVersion": "13"}, "clouds.runpod.minCudaVersion: "),
        ({"volumeMountPath": "models"}, "clouds.runpod.volumeMountPath: "),
        ({"disk": 200}, "clouds.runpod.disk: unknown key (did you mean diskGb?)"),
    ],
)
def test_settings_it_cannot_use_are_refused_by_name(bench: Bench, settings: dict[str, Any], named: str) -> None:
    assert named in bench.refused(InvalidRequest, lambda: bench.cloud.check_settings(settings))


@pytest.mark.parametrize("image", [DEFAULT_IMAGE, "registry.example:5000/vllm:1.2", f"vllm@sha256:{'0' * 64}"])
def test_images_with_a_tag_or_digest_are_taken(image: str) -> None:
    assert parse({"image": image}).image == image


def test_a_volume_pins_its_data_centre(bench: Bench) -> None:
    settings = {"volumeId": "vol_weights"}
    message = bench.refused(InvalidRequest, lambda: bench.launch(settings=settings))
    assert "choose one of EU-RO-1" in message
    bench.refused(InvalidRequest, lambda: bench.launch(settings={"volumeId": "vol_none"}))
    machine = bench.launch(settings=settings, region="any")
    assert bench.api.pods[machine.id].order["mounts"] == {"network": [{"volumeId": "vol_weights", "path": "/models"}]}
    assert (machine.region, machine.weights_root) == ("EU-RO-1", "/models")
    assert plain_host(machine)["weightsRoot"] == "/models"


@pytest.mark.parametrize("sku", [SECURE, SPOT])
def test_no_host_of_the_cuda_version_is_no_capacity(bench: Bench, sku: str) -> None:
    bench.refused(NoCapacity, lambda: bench.launch(sku=sku, settings={"minCudaVersion": "13.10"}))


def test_a_pod_without_a_host_key_of_ours_is_never_launched(bench: Bench) -> None:
    assert "host key" in bench.refused(InvalidRequest, lambda: bench.launch(host_key=None))
    assert bench.api.machines == []


# Every error of the vendor's, and every fault of the way


@pytest.mark.parametrize(
    ("what", "status", "error"),
    [
        ("POST /pods", 400, NoCapacity), ("POST /pods", 401, Unauthorized), ("POST /pods", 402, QuotaExceeded),
        ("POST /pods", 403, NoCapacity), ("POST /pods", 404, InvalidRequest), ("POST /pods", 422, InvalidRequest),
        ("GET /pods", 403, Unauthorized), ("GET /pods/a", 404, NotFound), ("DELETE /pods/a", 404, NotFound),
        ("DELETE /pods/a", 409, InvalidRequest), ("POST /pods/a/action", 400, NoCapacity),
        ("POST /pods/a/action", 404, NotFound), ("POST /pods/a/action", 409, InvalidRequest),
        ("GET /catalog/gpus/x", 404, InvalidRequest), ("GET /network-volumes/x", 400, InvalidRequest),
        ("GET /pods", 503, Unavailable),
    ],
)  # fmt: skip
def test_each_status_is_one_error_that_keeps_the_vendors_detail(
    what: str, status: int, error: type[CloudError]
) -> None:
    body = {"title": "T", "status": status, "detail": "the\ndetail", "errors": ["$: one", "$: two"]}
    classified = classify(Answer(status, body), what)
    assert type(classified) is error
    assert f"{what}: {status} the detail; $: one; $: two" in str(classified)


@pytest.mark.parametrize("body", [None, "plain text", {}, [1]])
def test_an_error_without_a_problem_document_is_classified_too(body: object) -> None:
    assert type(classify(Answer(402, body), "POST /pods")) is QuotaExceeded


@pytest.mark.parametrize(
    ("trouble", "error"), [("balance", QuotaExceeded), ("pool", NoCapacity)]
)  # fmt: skip
def test_an_account_that_may_not_rent_is_told_so(bench: Bench, trouble: str, error: type[CloudError]) -> None:
    setattr(bench.api, trouble, False)
    assert "account" in bench.refused(error, bench.launch)


def test_what_the_vendor_does_not_know_is_an_invalid_request(bench: Bench) -> None:
    order = {"name": "n", "image": "busybox:1", "gpu": {"id": GPU}, "spot": True}
    message = bench.refused(InvalidRequest, lambda: bench.cloud.client.create_pod(order))
    assert "unknown field spot" in message


@pytest.mark.parametrize("sku", [SECURE, SPOT])
def test_capacity_that_goes_between_the_look_and_the_order_is_no_capacity(bench: Bench, sku: str) -> None:
    bench.api.inject(Fault.NO_CAPACITY)
    assert "no longer any instances available" in bench.refused(NoCapacity, lambda: bench.launch(sku=sku))
    assert bench.api.machines == []


@pytest.mark.parametrize("sku", [SECURE, SPOT])
@pytest.mark.parametrize("fault", [Fault.CREATED_BUT_500, Fault.CREATED_BUT_RESET])
def test_a_lost_answer_is_ambiguous_and_the_pod_is_found_by_its_name(bench: Bench, sku: str, fault: Fault) -> None:
    bench.api.inject(fault)
    bench.refused(Ambiguous, lambda: bench.launch(sku=sku))
    assert [(m.name, m.owner) for m in bench.cloud.list("p")] == [("p-s-a-g1", OWNER)]


@pytest.mark.parametrize("sku", [SECURE, SPOT])
def test_a_create_is_never_repeated(bench: Bench, sku: str) -> None:
    """Whatever came back: a second request could rent a second pod."""
    bench.api.inject(Fault.CREATED_BUT_500)
    bench.refused(Ambiguous, lambda: bench.launch(sku=sku))
    assert len(bench.api.machines) == 1


@pytest.mark.parametrize("fault", [Fault.REFUSED_500, Fault.TRUNCATED_JSON])
def test_an_order_without_a_readable_answer_is_ambiguous(bench: Bench, fault: Fault) -> None:
    bench.api.inject(fault)
    order = {"name": "n", "image": "busybox:1", "gpu": {"id": GPU}}
    bench.refused(Ambiguous, lambda: bench.cloud.client.create_pod(order))


@pytest.mark.parametrize(
    "fault", [Fault.RATE_LIMITED, Fault.RATE_LIMITED_SILENT, Fault.REFUSED_500, Fault.TRUNCATED_JSON]
)
def test_passing_trouble_with_the_catalogue_is_waited_out(bench: Bench, fault: Fault) -> None:
    bench.api.inject(fault, 2)
    bench.launch()
    assert len(bench.api.machines) == 1
    assert bench.clock.now > 0


def test_haste_that_lasts_is_rate_limited_with_the_wait_asked_for(bench: Bench) -> None:
    bench.api.inject(Fault.RATE_LIMITED, 1000)
    with pytest.raises(RateLimited) as caught:
        bench.cloud.list()
    assert caught.value.retry_after_s == 1


@pytest.mark.parametrize("sku", [SECURE, SPOT])
def test_a_refused_key_is_unauthorized_and_says_where_to_make_one(bench: Bench, sku: str) -> None:
    bench.api.inject(Fault.EXPIRED_KEY)
    message = bench.refused(Unauthorized, lambda: bench.launch(sku=sku))
    assert "RUNPOD_API_KEY" in message
    assert "https://console.runpod.io" in message


def test_a_vanished_pod_is_not_found(bench: Bench) -> None:
    machine = bench.launch()
    bench.api.inject(Fault.VANISHED)
    bench.refused(NotFound, lambda: bench.cloud.get(machine.id))


def test_an_unknown_state_is_unknown_for_one_look(bench: Bench) -> None:
    machine = bench.launch()
    bench.api.inject(Fault.UNKNOWN_STATE)
    assert bench.cloud.get(machine.id).state is MachineState.UNKNOWN
    assert bench.cloud.get(machine.id).state is MachineState.RUNNING


@pytest.mark.parametrize("fault", [Fault.SLOW_BOOT, Fault.STUCK])
def test_a_pod_that_does_not_come_up_stays_pending(bench: Bench, fault: Fault) -> None:
    bench.api.boot_s = 20
    bench.api.inject(fault)
    machine = bench.launch()
    bench.clock.now = 199
    assert bench.cloud.get(machine.id).state is MachineState.PENDING
    bench.clock.now = 200
    assert (bench.cloud.get(machine.id).state is MachineState.RUNNING) == (fault is Fault.SLOW_BOOT)


def test_an_unreachable_cloud_is_unavailable_and_nothing_is_ambiguous() -> None:
    clock = Clock()
    config = RunpodConfig(KEY, f"http://127.0.0.1:{free_port()}")
    client = RunpodClient(config, clock=clock, sleep=clock.sleep)
    for call in (client.pods, lambda: client.create_pod({})):
        with pytest.raises(Unavailable):
            call()
    with pytest.raises(Unavailable):
        Interruptible(config).create_pod(_order(), Decimal("0.95"))


# Stop, start, terminate


def test_a_stopped_pod_is_started_and_a_running_one_left_alone(bench: Bench) -> None:
    machine = bench.launch()
    assert bench.cloud.start(machine.id).state is MachineState.RUNNING
    assert not [r for r in bench.api.seen if r.path.endswith("/action")]
    bench.api.pods[machine.id].failed = True
    assert bench.cloud.start(machine.id).state is MachineState.RUNNING


def test_a_stopped_pod_whose_host_has_no_gpus_left_says_so(bench: Bench) -> None:
    machine = bench.launch()
    bench.api.pods[machine.id].stopped = True
    bench.api.stock["US-KS-2"] = 0
    assert "not enough free GPUs" in bench.refused(NoCapacity, lambda: bench.cloud.start(machine.id))


@pytest.mark.parametrize("sku", [SECURE, SPOT])
def test_an_ended_pod_is_confirmed_gone_and_may_be_ended_again(bench: Bench, sku: str) -> None:
    machine = bench.launch(sku=sku)
    bench.cloud.terminate(machine.id)
    assert (bench.api.machines, bench.host.orders) == ([], {})
    bench.cloud.terminate(machine.id)


def test_ending_outlasts_passing_trouble(bench: Bench) -> None:
    machine = bench.launch()
    bench.api.inject(Fault.REFUSED_500, 30)
    bench.cloud.terminate(machine.id)
    assert bench.api.machines == []


@pytest.mark.parametrize("trouble", ["undying", "500"])
def test_what_cannot_be_confirmed_gone_is_told_with_id_and_command(bench: Bench, trouble: str) -> None:
    machine = bench.launch()
    bench.api.undying = True
    if trouble == "500":
        bench.api.inject(Fault.REFUSED_500, 10_000)
    message = bench.refused(TerminateFailed, lambda: bench.cloud.terminate(machine.id))
    assert f"runpodctl remove pod {machine.id}" in message
    assert ("14.32 USD/h" in message) == (trouble == "undying")
    assert PATIENCE_S - 10 <= bench.clock.now <= PATIENCE_S + 3 * 90  # each of a round's calls is patient


def test_a_key_without_the_right_to_end_is_told_at_once(bench: Bench) -> None:
    machine = bench.launch()
    bench.api.inject(Fault.EXPIRED_KEY, 10)
    assert machine.id in bench.refused(TerminateFailed, lambda: bench.cloud.terminate(machine.id))
    assert bench.clock.now == 0


def test_a_pod_that_only_the_listing_knows_is_not_gone(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = bench.launch()

    def unknown(pod_id: str) -> None:
        if bench.clock.now < 10:
            raise NotFound("a replica that lags behind")
        RunpodClient.delete_pod(bench.cloud.client, pod_id)

    monkeypatch.setattr(bench.cloud.client, "delete_pod", unknown)
    bench.cloud.terminate(machine.id)
    assert bench.api.machines == []


# Interruptible pods, through the SDK


def _order() -> dict[str, Any]:
    return {
        "name": "n", "cloud": "SECURE", "image": "busybox:1", "args": "a", "gpu": {"id": GPU, "count": 8}, "disk": 20,
        "ports": ["22/tcp"], "env": {"A": "line\none", HOST_KEY: HOST.private},
    }  # fmt: skip


def test_the_retirement_of_graphql_is_warned_of_and_the_query_is_not_logged(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    machine = bench.launch(sku=SPOT)
    assert "retire early in 2027" in caplog.text
    for secret in (KEY, "podRentInterruptable", bench.host.orders[machine.id].environment[HOST_KEY]):
        assert secret not in caplog.text


@pytest.mark.parametrize("trouble", ["low bid", "syntax"])
def test_a_refusal_that_repeats_the_query_gives_no_secret_away(bench: Bench, trouble: str) -> None:
    bench.api.echo = True
    secret = 'the "secret" of the pod'
    order = {**_order(), "env": {"A": "b", "SECRET": secret}, "cloud": "SECURE" if trouble == "low bid" else "?"}
    with pytest.raises(Ambiguous, match="SECRET") as caught:
        bench.cloud.interruptible.create_pod(order, Decimal("0.01"))
    assert "secret" not in str(caught.value)
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


def test_an_unreadable_answer_to_a_bid_is_ambiguous(bench: Bench) -> None:
    bench.api.inject(Fault.TRUNCATED_JSON)
    bench.refused(Ambiguous, lambda: bench.cloud.interruptible.create_pod(_order(), Decimal("0.95")))
    assert len(bench.api.machines) == 1


@pytest.mark.parametrize("fault", [Fault.REFUSED_500, Fault.RATE_LIMITED, Fault.TRUNCATED_JSON])
def test_a_price_that_cannot_be_asked_is_unavailable(bench: Bench, fault: Fault) -> None:
    bench.api.inject(fault)
    bench.refused(Unavailable, lambda: bench.cloud.interruptible.usd_per_gpu_hour(GPU))


@pytest.mark.parametrize("fault", [Fault.REFUSED_500, Fault.RATE_LIMITED])
def test_a_bid_without_a_clear_answer_is_ambiguous(bench: Bench, fault: Fault) -> None:
    """The SDK drops the HTTP status, so that what created nothing cannot be told from what may have."""
    bench.api.inject(fault)
    bench.refused(Ambiguous, lambda: bench.cloud.interruptible.create_pod(_order(), Decimal("0.95")))


def test_graphql_refuses_a_key_as_rest_does(bench: Bench) -> None:
    for call in (lambda: bench.cloud.interruptible.create_pod(_order(), Decimal("0.95")), bench.cloud.offers):
        bench.api.key = "another"
        bench.refused(Unauthorized, call)


def test_a_gpu_without_an_interruptible_price_is_no_capacity(bench: Bench) -> None:
    bench.api.interruptible_usd_per_gpu_hour = None
    bench.refused(NoCapacity, lambda: bench.launch(sku=SPOT))


@given(st.text())
def test_any_text_reaches_graphql_as_it_is(text: str) -> None:
    order = {**_order(), "args": text, "env": {"K": text}}
    name, arguments = operation(mutation(order, Decimal("0.9500")))
    assert name == "podRentInterruptable"
    assert arguments["input"]["dockerArgs"] == text
    assert arguments["input"]["env"] == [{"key": "K", "value": text}]
    assert arguments["input"]["bidPerGpu"] == 0.95


def test_the_sdks_address_variable_is_left_as_it_was(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for before in (None, "http://192.0.2.7"):
        if before is None:
            monkeypatch.delenv("RUNPOD_API_BASE_URL", raising=False)
        else:
            monkeypatch.setenv("RUNPOD_API_BASE_URL", before)
        bench.cloud.interruptible.usd_per_gpu_hour(GPU)
        assert os.environ.get("RUNPOD_API_BASE_URL") == before


def _python(code: str, cwd: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, "-c", code], cwd=cwd, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_the_sdk_is_found_although_our_folder_has_its_name() -> None:
    """`python providers` puts providers/ first on the path, as `python -c` does with the folder it runs in."""
    code = "from providers.clouds.runpod.interruptible import _sdk; print(_sdk().get_gpu.__module__)"
    assert _python(code, ROOT / "providers") == "runpod.api.ctl_commands"


def test_the_sdk_is_imported_for_interruptible_pods_only() -> None:
    assert _python("import sys, providers.clouds.runpod.cloud; print('runpod' in sys.modules)", ROOT) == "False"


# Offers and configuration


def test_offers_are_every_sku_in_every_data_centre_at_its_live_price(bench: Bench) -> None:
    bench.api.stock = {"US-KS-2": 4, "EU-RO-1": 8}
    offers = {(o.region, o.sku): o for o in bench.cloud.offers()}
    assert set(offers) == {(region, sku) for region in ("US-KS-2", "EU-RO-1", "any") for sku in SKUS}
    for (region, sku), offer in offers.items():
        count = int(sku[0])
        assert offer.available == (count <= (4 if region == "US-KS-2" else 8))
        assert offer.usd_per_hour == count * (Decimal("0.95") if sku.endswith("spot") else Decimal("1.79"))
        assert (offer.gpus, offer.gpu_memory_gib) == (count, 80)


def test_what_is_sold_out_everywhere_is_offered_as_not_available(bench: Bench) -> None:
    bench.api.stock = {"US-KS-2": 0}
    assert {(o.region, o.available) for o in bench.cloud.offers()} == {("any", False)}


def test_offers_outlive_the_retirement_of_graphql(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.api.interruptible_usd_per_gpu_hour = None
    assert {o.sku.rsplit("-", 1)[1] for o in bench.cloud.offers()} == {"secure"}
    assert "no interruptible offers" in caplog.text


def test_a_missing_key_is_told_at_the_first_call_and_not_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RUNPOD_API_KEY", raising=False)
    cloud = RunpodCloud.from_environment()
    for call in (cloud.list, cloud.offers, lambda: cloud.launch(spec()), lambda: cloud.get("a")):
        with pytest.raises(Unauthorized, match=r"RUNPOD_API_KEY .*https://console\.runpod\.io"):
            call()
    with pytest.raises(TerminateFailed, match="RUNPOD_API_KEY"):
        cloud.terminate("a")


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ({}, "https://api.runpod.io"),
        ({"RUNPOD_API_BASE_URL": "http://a/"}, "http://a"),
        ({"RUNPOD_API_BASE_URL": "http://a", "CROSSOVER_RUNPOD_URL": "http://b"}, "http://b"),
    ],
)
def test_where_runpod_is_comes_from_the_environment(
    environment: dict[str, str], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RUNPOD_API_BASE_URL", "CROSSOVER_RUNPOD_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert RunpodConfig.from_environment().base_url == url


def test_the_key_is_not_in_a_configurations_text() -> None:
    assert KEY not in repr(RunpodConfig(KEY))


def test_the_launch_record_holds_no_secret(bench: Bench) -> None:
    machine = bench.launch()
    kept = json.loads(bench.host.orders[machine.id].environment["CROSSOVER_LAUNCH"])
    assert kept == {"region": "US-KS-2", "sku": SECURE, "ports": {"ssh": 22, "vllm": 8000}}


def test_a_look_is_one_listing_and_what_is_not_listed_yet_is_asked_for_by_its_id(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = bench.cloud.launch(spec())
    seen = len(bench.api.seen)
    found = bench.cloud.get(machine.id)
    assert [(r.method, r.path) for r in bench.api.seen[seen:]] == [("GET", "/v2/pods")]
    monkeypatch.setattr(bench.cloud.client, "look", lambda: Rows([]))
    assert bench.cloud.get(machine.id) == found


def test_all_who_wait_in_a_process_share_one_client() -> None:
    assert RunpodCloud.from_environment().client is RunpodCloud.from_environment().client
