"""The cloud `lambda` when things go wrong: every error of Lambda's, every fault on the way, bad settings, no key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from images.remote.errors import RemoteError
from providers.base import Candidate, MachineState
from providers.clouds.lambdalabs.client import API, ERRORS, LAUNCH, classify
from providers.clouds.lambdalabs.cloud import LambdaCloud
from providers.clouds.lambdalabs.config import LambdaConfig, parse
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
from providers.renting.rent import rent
from providers.transport.transport import Answer
from tests.clouds.server import Fault, Refusal, Request
from tests.support.clouds import request
from tests.support.lambdalabs import NETWORKS, PUBLIC_KEY, REGION, SKU, Stage, stage

LAUNCHING = f"POST {LAUNCH}"
LOOKING = f"GET {API}/instances/1"


@pytest.fixture
def lab() -> Iterator[Stage]:
    with stage() as made:
        yield made


def answer(code: str, status: int = 400) -> Answer:
    return Answer(status, {"error": {"code": code, "message": "Something.\n Else.", "suggestion": "x"}})


@pytest.mark.parametrize(
    ("what", "status", "code", "kind"),
    [
        (LAUNCHING, 400, "instance-operations/launch/insufficient-capacity", NoCapacity),
        (LAUNCHING, 400, "instance-operations/launch/file-system-in-wrong-region", InvalidRequest),
        (LAUNCHING, 400, "global/quota-exceeded", QuotaExceeded),
        (LAUNCHING, 400, "global/invalid-parameters", InvalidRequest),
        (LAUNCHING, 400, "global/object-does-not-exist", InvalidRequest),
        (LAUNCHING, 404, "global/object-does-not-exist", InvalidRequest),
        (LAUNCHING, 401, "global/invalid-api-key", Unauthorized),
        (LAUNCHING, 403, "global/account-inactive", Unauthorized),
        (LAUNCHING, 403, "global/invalid-address", Unauthorized),
        (LAUNCHING, 400, "provider/internal-unavailable", Ambiguous),
        (LAUNCHING, 409, "global/internal-error", Ambiguous),
        (LAUNCHING, 400, "global/never-heard-of", InvalidRequest),
        (LOOKING, 404, "global/object-does-not-exist", NotFound),
        (LOOKING, 403, "global/forbidden", Unauthorized),
        (LOOKING, 400, "provider/internal-unavailable", Unavailable),
        (f"DELETE {API}/firewall-rulesets/1", 400, "firewall-rulesets/firewall-ruleset-in-use", Unavailable),
        (f"PATCH {API}/firewall-rulesets/1", 409, "global/internal-error", Unavailable),
    ],
)
def test_each_code_is_one_error_and_one_line_that_says_what_where_and_what_to_do(
    what: str, status: int, code: str, kind: type[CloudError]
) -> None:
    error = classify(answer(code, status), what)
    assert type(error) is kind
    assert str(error).startswith(f"lambda refuses {what}: Something. Else ({code}). ")
    assert "\n" not in str(error)


def test_a_404_that_is_not_lambdas_word_about_the_machine_is_no_absence() -> None:
    """A wrong CROSSOVER_LAMBDA_URL, or a proxy in between, must not lose a fleet."""
    bodies: list[Any] = ["<html>Not Found</html>", None, {"message": "no Route matched"}, {"error": "not found"}, []]
    for body in bodies:
        assert type(classify(Answer(404, body), LOOKING)) is Unavailable
        assert type(classify(Answer(404, body), LAUNCHING)) is Ambiguous
    assert type(classify(answer("global/not-found", 404), LOOKING)) is InvalidRequest
    assert type(classify(Answer(403, "blocked"), LAUNCHING)) is Unauthorized


def test_every_known_code_has_advice() -> None:
    assert all(advice[0].isupper() and not advice.endswith(".") for _, advice in ERRORS.values())


def test_a_launch_whose_answer_is_lost_is_ambiguous_and_is_sent_once(lab: Stage) -> None:
    for fault in (Fault.CREATED_BUT_500, Fault.CREATED_BUT_RESET):
        before = lab.emulator.launches
        lab.emulator.inject(fault)
        with pytest.raises(Ambiguous):
            lab.launch()
        assert lab.emulator.launches == before + 1
    assert len(lab.cloud.list("p")) == 2


def test_a_launch_whose_answer_cannot_be_read_is_ambiguous(lab: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab.emulator, "_launch", lambda _: (200, {"data": {"ids": ["1"]}}))
    with pytest.raises(Ambiguous, match=r"instance_ids: Field required"):
        lab.cloud.client.launch({})


@pytest.mark.parametrize("fault", [Fault.REFUSED_500, Fault.RATE_LIMITED, Fault.RATE_LIMITED_SILENT])
@pytest.mark.parametrize("nth", [0, 1, 2, 3, 4])
def test_faults_of_the_calls_before_the_launch_are_sat_out(lab: Stage, fault: Fault, nth: int) -> None:
    """One fault hits one of the calls that a launch makes; reads are repeated, and so is what was refused for haste."""
    strike(lab, fault, nth)
    machine = lab.launch()
    assert lab.emulator.machines == [machine.id]
    assert len(lab.emulator.rulesets) == len(lab.emulator.ssh_keys) == 1


def strike(lab: Stage, fault: Fault, nth: int) -> None:
    """Injects the fault just before the `nth` request from now on that can sit it out."""
    original, count = lab.emulator.answer, 0

    def counted(request: Request) -> tuple[int, Any]:
        nonlocal count
        if request.method != "POST" or fault is not Fault.REFUSED_500:  # a create that failed ends the launch
            if count == nth:
                lab.emulator.inject(fault)
            count += 1
        return original(request)

    lab.emulator.answer = counted  # type: ignore[method-assign]


def test_a_key_whose_adding_was_lost_is_found_and_a_failed_one_is_said(
    lab: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = lab.emulator._add_key

    def lost(request: Request) -> tuple[int, Any]:
        original(request)
        raise lab.emulator.failure(500)

    def failed(request: Request) -> tuple[int, Any]:
        raise lab.emulator.failure(500)

    monkeypatch.setattr(lab.emulator, "_add_key", failed)
    with pytest.raises(Unavailable, match=r"/ssh-keys: 500 .*nothing came of it"):
        lab.launch()
    monkeypatch.setattr(lab.emulator, "_add_key", lost)
    lab.launch()
    assert len(lab.emulator.ssh_keys) == 1


def test_a_key_that_another_process_added_meanwhile_is_used(lab: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    original = lab.emulator._add_key

    def slower(request: Request) -> tuple[int, Any]:
        original(request)
        return original(request)

    monkeypatch.setattr(lab.emulator, "_add_key", slower)
    lab.launch()
    assert len(lab.emulator.machines) == 1


def test_a_launch_is_repeated_after_a_refusal_for_haste_alone(lab: Stage) -> None:
    lab.emulator.inject(Fault.RATE_LIMITED)
    lab.launch()
    lab.emulator.inject(Fault.RATE_LIMITED_SILENT, 1000)
    with pytest.raises(RateLimited):
        lab.cloud.client.launch({})


def test_a_refused_key_is_said_once_and_asked_again_never(lab: Stage) -> None:
    lab.emulator.inject(Fault.EXPIRED_KEY)
    with pytest.raises(Unauthorized, match=r"LAMBDA_API_KEY: https://cloud\.lambda\.ai/api-keys"):
        lab.launch()
    assert lab.clock.now == 0


def test_a_quota_ends_the_launch_and_leaves_nothing() -> None:
    with stage(quota=0) as lab:
        with pytest.raises(QuotaExceeded, match="Lambda's support"):
            lab.launch()
        assert (lab.emulator.rulesets, lab.emulator.ssh_keys) == ({}, {})


def test_an_unknown_state_is_unknown_once_and_then_what_it_is(lab: Stage) -> None:
    machine = lab.launch()
    lab.emulator.inject(Fault.UNKNOWN_STATE)
    assert [lab.cloud.get(machine.id).state for _ in range(2)] == [MachineState.UNKNOWN, MachineState.RUNNING]


def test_a_broken_answer_is_asked_for_again(lab: Stage) -> None:
    machine = lab.launch()
    lab.emulator.inject(Fault.TRUNCATED_JSON)
    assert lab.cloud.get(machine.id) == machine


def test_an_answer_that_no_description_has_is_unavailable_and_does_not_show_what_it_holds(
    lab: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = {"data": {"id": "1", "status": "active", "jupyter_token": "hidden", "region": "us"}}
    monkeypatch.setattr(lab.emulator, "_list", lambda _: (200, wrong))
    with pytest.raises(Unavailable, match=r"GET /api/v1/instances with what its API does not describe") as failed:
        lab.cloud.list()
    assert "hidden" not in str(failed.value)


def test_a_vanished_machine_is_not_found(lab: Stage) -> None:
    machine = lab.launch()
    lab.emulator.inject(Fault.VANISHED)
    with pytest.raises(NotFound):
        lab.cloud.get(machine.id)


def test_boots_can_be_slow_or_never_end() -> None:
    with stage(boot_s=60) as lab:
        lab.emulator.inject(Fault.SLOW_BOOT)
        slow = lab.launch("a")
        lab.emulator.inject(Fault.STUCK)
        stuck = lab.launch("b")
        lab.clock.sleep(599)
        assert lab.cloud.get(slow.id).state is MachineState.PENDING
        lab.clock.sleep(1)
        assert lab.cloud.get(slow.id).state is MachineState.RUNNING
        lab.clock.sleep(1e6)
        assert lab.cloud.get(stuck.id).state is MachineState.PENDING
        lab.cloud.terminate(stuck.id)
        assert lab.emulator.machines == [slow.id]


@pytest.mark.parametrize(
    "fault", [Fault.REFUSED_500, Fault.RATE_LIMITED, Fault.RATE_LIMITED_SILENT, Fault.TRUNCATED_JSON]
)
def test_an_end_goes_on_through_faults_until_the_machine_is_gone(lab: Stage, fault: Fault) -> None:
    """More faults than one call sits out."""
    machine = lab.launch()
    lab.emulator.inject(fault, 20 if fault is not Fault.RATE_LIMITED else 200)
    lab.cloud.terminate(machine.id)
    assert lab.emulator.machines == []


def test_an_end_that_is_refused_is_reported_at_once(lab: Stage) -> None:
    machine = lab.launch()
    with pytest.raises(TerminateFailed, match=r"LAMBDA_API_KEY.*an unknown price.*https://cloud\.lambda\.ai/instances"):
        lab.other("another key").terminate(machine.id)
    assert lab.clock.now == 0


def test_an_end_asks_again_where_lambda_forgot_it(lab: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = lab.launch()
    original, forgotten = lab.emulator._terminate, 2

    def forgetful(request: Request) -> tuple[int, Any]:
        nonlocal forgotten
        forgotten -= 1
        return original(request) if forgotten < 0 else (200, {"data": {"terminated_instances": []}})

    monkeypatch.setattr(lab.emulator, "_terminate", forgetful)
    lab.cloud.terminate(machine.id)
    assert lab.emulator.machines == []


def test_what_cannot_be_tidied_up_fails_no_end(lab: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(request: Request) -> tuple[int, Any]:
        raise Refusal(400, {"error": {"code": "global/invalid-parameters", "message": "no"}})

    machine = lab.launch()
    monkeypatch.setattr(lab.emulator, "_delete_ruleset", refused)
    lab.cloud.terminate(machine.id)
    assert lab.emulator.machines == []


def test_a_ruleset_that_lambda_still_counts_as_used_is_removed_a_little_later(
    lab: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = lab.launch()
    original, busy = lab.emulator._delete_ruleset, 3

    def lagging(request: Request) -> tuple[int, Any]:
        nonlocal busy
        busy -= 1
        if busy >= 0:
            code = "firewall-rulesets/firewall-ruleset-in-use"
            raise Refusal(400, {"error": {"code": code, "message": "in use", "suggestion": "wait"}})
        return original(request)

    monkeypatch.setattr(lab.emulator, "_delete_ruleset", lagging)
    lab.cloud.terminate(machine.id)
    assert lab.emulator.rulesets == {}


def test_without_a_key_the_cloud_is_made_and_says_what_it_needs_when_it_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("LAMBDA_API_KEY", raising=False)
    cloud = LambdaCloud.from_environment()
    for ask in (cloud.offers, cloud.list, lambda: cloud.get("1")):
        with pytest.raises(Unauthorized, match=r"https://cloud\.lambda\.ai/api-keys .*LAMBDA_API_KEY"):
            ask()


def test_a_key_that_cannot_be_one_is_refused_without_being_shown() -> None:
    cloud = LambdaCloud.from_environment()
    cloud.client.config = LambdaConfig("broken\nsecret")
    with pytest.raises(Unauthorized, match="copy it again") as failed:
        cloud.list()
    assert "secret" not in str(failed.value)


def test_the_environment_gives_key_and_address_and_one_client_serves_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LAMBDA_API_KEY", " a-key\n")
    monkeypatch.setenv("CROSSOVER_LAMBDA_URL", "http://127.0.0.1:1/")
    config = LambdaConfig.from_environment()
    assert (config.api_key, config.base_url) == ("a-key", "http://127.0.0.1:1")
    assert LambdaCloud.from_environment().client is LambdaCloud.from_environment().client
    monkeypatch.delenv("CROSSOVER_LAMBDA_URL")
    assert LambdaConfig.from_environment().base_url == "https://cloud.lambda.ai"


def test_the_api_key_is_in_no_message_and_no_representation(lab: Stage) -> None:
    messages = [repr(lab.cloud.client.config), repr(LambdaCloud.from_environment())]
    machine = lab.launch()
    for fault in Fault:
        lab.emulator.inject(fault, 1000)
        for ask in (lab.launch, lab.cloud.list, lab.cloud.offers, lambda: lab.cloud.get(machine.id)):
            try:
                ask()
            except RemoteError as e:
                messages += [str(e), repr(e), str(e.__cause__)]
        lab.emulator.faults.clear()
    assert len(messages) > 20
    assert not [m for m in messages if lab.emulator.key in m or "PRIVATE KEY" in m]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"sourceNetwork": []}, r"clouds\.lambda\.sourceNetwork: unknown key \(did you mean sourceNetworks\?\)"),
        ({}, r"^clouds\.lambda\.sourceNetworks: missing; name who may connect, e\.g\. \[203\.0\.113\.7/32\]: where"),
        ({"sourceNetworks": ["0.0.0.0/0"]}, r"^clouds\.lambda\.sourceNetworks\[0\]: 0\.0\.0\.0/0 is open to the world"),
        ({"clientCidrs": ["128.0.0.0/1"]}, r"clouds\.lambda\.clientCidrs\[0\]: 128\.0\.0\.0/1 is open to the world"),
        ({"sourceNetworks": []}, r"clouds\.lambda\.sourceNetworks: must not be empty"),
        ({"sourceNetworks": ["10.0.0.1/8"]}, r"clouds\.lambda\.sourceNetworks\[0\]: .*host bits set"),
        ({"sourceNetworks": "10.0.0.0/8"}, r"clouds\.lambda\.sourceNetworks: expected a list"),
        ({"fileSystems": [""]}, r"clouds\.lambda\.fileSystems\[0\]: "),
        ({"imageFamily": 24}, r"clouds\.lambda\.imageFamily: must be a text"),
        ({"imageFamily": "lambda-stack-22-04"}, r"clouds\.lambda\.imageFamily: .*older than Ubuntu 24\.04"),
        ({"a": 1, "imageFamily": ""}, r"clouds\.lambda\.imageFamily: .*\nclouds\.lambda\.a: "),
    ],
)
def test_settings_that_cannot_be_used_are_named(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        LambdaCloud.from_environment().check_settings(settings)


def test_settings_have_defaults_and_networks_one_form() -> None:
    """But for who may connect."""
    settings = parse({"sourceNetworks": ["192.0.2.7"]})
    assert (settings.source_networks, settings.client_cidrs) == (["192.0.2.7/32"], [])
    assert (settings.file_systems, settings.image_family) == ([], "lambda-stack-24-04")


def test_the_answers_region_and_sku_are_what_was_asked_for(lab: Stage) -> None:
    machine = lab.launch()
    assert (machine.region, machine.sku) == (REGION, SKU)


def test_rent_finds_a_machine_whose_launch_was_lost(lab: Stage) -> None:
    """It gets as far as the wait for SSH, with one machine, which it ends as nobody answers."""
    candidate = Candidate("lambda", REGION, SKU)
    lab.emulator.inject(Fault.CREATED_BUT_RESET)
    sections = {"lambda": NETWORKS}
    rung = request(candidates=(candidate,), ssh_public_key=PUBLIC_KEY, deadline_s=5, settings=sections)
    with pytest.raises(RemoteError, match=r"confirmed gone.*left out until .*was not reached in 5 s"):
        rent(rung, lambda _: lab.cloud, lab.clock.waiting())
    assert (lab.emulator.launches, lab.emulator.machines) == (1, [])
