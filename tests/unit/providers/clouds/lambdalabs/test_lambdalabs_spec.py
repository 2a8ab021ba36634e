"""What the client sends to Lambda, and what the emulator answers, is what Lambda's own OpenAPI document describes."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from providers.base import Owner
from providers.clouds.lambdalabs.client import ERRORS
from providers.clouds.lambdalabs.cloud import STATES
from providers.errors import CloudError
from tests.clouds.lambdalabs import API, LambdaEmulator
from tests.clouds.server import Fault, Request
from tests.support.lambdalabs import Stage, stage

ROOT = Path(__file__).resolve().parents[5]
FOLDER = Path(os.environ.get("CROSSOVER_SPECS") or ROOT.parent / "shared" / "specs")
SPEC = FOLDER / "lambda-cloud-v1.openapi.json"

pytestmark = pytest.mark.skipif(
    not SPEC.exists(), reason=f"Lambda's OpenAPI document is missing: {SPEC.name} in the folder CROSSOVER_SPECS"
)

UNDOCUMENTED = {429, 500}
"""Lambda describes neither; transport and classification take any body."""


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(SPEC.read_text())
    return found


@pytest.fixture(scope="module")
def played() -> Iterator[LambdaEmulator]:
    """The emulator after everything that this project asks of it, with each error that it can be brought to."""
    with stage() as lab:
        play(lab)
        yield lab.emulator


def play(lab: Stage) -> None:
    settings = {"fileSystems": ["weights"], "imageFamily": "lambda-stack-24-04", "sourceNetworks": ["192.0.2.0/24"]}
    a = lab.launch("a", settings=settings)
    b = lab.launch("b", ports={"ssh": 22, "https": 443}, owner=Owner("p", "s", "gateway", "b", 1))
    lab.cloud.offers()
    lab.cloud.list()
    lab.emulator.ssh_keys["again"] = {"id": "1", "name": "again", "public_key": "ssh-ed25519 AAAA"}
    client = lab.cloud.client
    ruleset = next(iter(lab.emulator.rulesets))
    body = next(r.body for r in lab.emulator.seen if r.path.endswith("/launch"))
    for fault in (Fault.NO_CAPACITY, Fault.EXPIRED_KEY):
        lab.emulator.inject(fault)
        with suppress(CloudError):
            lab.launch("c")
    lab.emulator.quota = 2
    for ask in (
        lambda: lab.launch("c"),
        lambda: client.launch({**body, "file_system_names": ["far"]}),
        lambda: client.launch({**body, "image": {"family": "none"}}),
        lambda: client.launch({**body, "region_name": "nowhere"}),
        lambda: client.launch({**body, "firewall_rulesets": [{"id": "none"}]}),
        lambda: client.launch({**body, "quantity": 2}),
        lambda: client.launch({**body, "ssh_key_names": []}),
        lambda: client.instance("none"),
        lambda: client.terminate("none"),
        lambda: client.add_ssh_key("again", "ssh-ed25519 AAAA"),
        lambda: client.delete_ssh_key("none"),
        lambda: client.create_ruleset("x", "nowhere", []),
        lambda: client.update_ruleset("none", []),
        lambda: client.update_ruleset(ruleset, [{"protocol": "tcp"}]),
        lambda: client.delete_ruleset("none"),
        lambda: client.delete_ruleset(ruleset),
    ):
        with pytest.raises(CloudError):
            ask()
    lab.emulator.terminate_s = 5
    lab.cloud.terminate(a.id)
    lab.cloud.terminate(b.id)


def operation(document: dict[str, Any], request: Request) -> dict[str, Any]:
    """The description of the call. Fails where the path or the method is not described."""
    for path, operations in document["paths"].items():
        if re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", path), request.path) and request.method.lower() in operations:
            found: dict[str, Any] = operations[request.method.lower()]
            return found
    raise AssertionError(f"{request.method} {request.path} is not described")


def check(document: dict[str, Any], schema: dict[str, Any], value: Any, what: str) -> None:
    validator = Draft202012Validator({**schema, "components": document["components"]})
    assert [f"{what}: {e.json_path}: {e.message}" for e in validator.iter_errors(value)] == []


def test_every_request_is_as_described(document: dict[str, Any], played: LambdaEmulator) -> None:
    for request, _, _ in played.answers:
        described = operation(document, request).get("requestBody")
        if described is None:
            assert request.body is None
            continue
        schema = described["content"]["application/json"]["schema"]
        assert set(request.body) <= set(schema["properties"]), f"{request.path}: fields that are not described"
        check(document, schema, request.body, request.path)


def test_every_answer_is_as_described(document: dict[str, Any], played: LambdaEmulator) -> None:
    for request, status, body in played.answers:
        schema = operation(document, request)["responses"][str(status)]["content"]["application/json"]["schema"]
        check(document, schema, body, f"{request.method} {request.path}")


def test_every_refusal_is_as_described(document: dict[str, Any], played: LambdaEmulator) -> None:
    for request, status, body in played.refusals:
        if status not in UNDOCUMENTED:
            schema = operation(document, request)["responses"][str(status)]["content"]["application/json"]["schema"]
            check(document, schema, body, f"{request.method} {request.path} {status}")


def test_every_call_of_the_emulator_was_played(played: LambdaEmulator) -> None:
    """So that the three tests above have seen all of them."""
    done = [f"{request.method} {request.path}" for request, _, _ in played.answers]
    for method, pattern, _ in played.routes():
        assert any(re.fullmatch(f"{method} {pattern}", call) for call in done), f"{method} {pattern}"
    assert {body["error"]["code"] for _, _, body in played.refusals} == {
        "instance-operations/launch/insufficient-capacity",
        "instance-operations/launch/file-system-in-wrong-region",
        "firewall-rulesets/firewall-ruleset-in-use",
        "global/quota-exceeded",
        "global/invalid-api-key",
        "global/invalid-parameters",
        "global/object-does-not-exist",
        "global/not-found",
    }


def test_every_error_code_that_is_described_for_our_calls_is_known(
    document: dict[str, Any], played: LambdaEmulator
) -> None:
    calls = {(request.method, request.path): operation(document, request) for request, _, _ in played.answers}
    codes = set()
    for described in calls.values():
        for name in re.findall(r"#/components/schemas/(ApiError\w+)", json.dumps(described["responses"])):
            codes.add(document["components"]["schemas"][name]["properties"]["code"]["const"])
    assert codes <= set(ERRORS)


def test_every_status_that_is_described_is_known(document: dict[str, Any]) -> None:
    assert set(document["components"]["schemas"]["InstanceStatus"]["enum"]) == set(STATES)


def test_a_booting_machine_is_shown_as_described(document: dict[str, Any]) -> None:
    """Without an address."""
    with stage(boot_s=60) as lab:
        lab.launch()
        shown = lab.emulator.answers[-1][2]["data"]
    assert "ip" not in shown
    check(document, {"$ref": "#/components/schemas/Instance"}, shown, API)
