"""What the client sends and the emulator answers is what RunPod's published description of REST v2 allows.

GraphQL has no description that can be kept; its one mutation follows the SDK's and is parsed strictly by the emulator.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from providers.base import NodeSpec, Owner
from providers.clouds.runpod.client import RunpodClient
from providers.clouds.runpod.cloud import RunpodCloud
from providers.clouds.runpod.config import RunpodConfig
from providers.errors import CloudError
from providers.renting import hostkeys
from tests.clouds.runpod import GPU, RunpodEmulator
from tests.clouds.server import Fault, Nowhere, Request
from tests.support.clouds import Clock

SPECS = Path(os.environ.get("CROSSOVER_SPECS") or Path(__file__).resolve().parents[6] / "shared" / "specs")
FILE = SPECS / "runpod-rest-v2.openapi.json"
pytestmark = pytest.mark.skipif(not FILE.exists(), reason=f"{FILE.name} is missing (CROSSOVER_SPECS)")

SETTINGS: list[dict[str, Any]] = [{}, {"volumeId": "vol_weights", "diskGb": 500, "image": "busybox:1.36"}]


class Description:
    """The OpenAPI document, asked by method and path."""

    def __init__(self) -> None:
        self.document: dict[str, Any] = json.loads(FILE.read_text())

    def operation(self, method: str, path: str) -> dict[str, Any]:
        """The operation that a request goes to."""
        for template, methods in self.document["paths"].items():
            if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path) and method.lower() in methods:
                return {"parameters": [], **methods[method.lower()]}
        raise AssertionError(f"the description has no {method} {path}")

    def resolved(self, part: dict[str, Any]) -> dict[str, Any]:
        """The part, or what it refers to."""
        while "$ref" in part:
            found: Any = self.document
            for step in part["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            part = found
        return part

    def check(self, value: Any, content: dict[str, Any]) -> None:
        """Fails where the value is not what the media type's schema says."""
        (media,) = content.values()
        schema = {**media["schema"], "components": self.document["components"]}
        errors = [f"{e.json_path}: {e.message}" for e in Draft202012Validator(schema).iter_errors(value)]
        assert not errors, errors

    def check_request(self, request: Request) -> None:
        """Its body and the names and enumerations of its query."""
        operation = self.operation(request.method, request.path)
        if request.body is not None:
            self.check(request.body, operation["requestBody"]["content"])
        known = {p["name"]: p for p in map(self.resolved, operation["parameters"]) if p["in"] == "query"}
        for name, text in request.query.items():
            schema = self.resolved(known[name]["schema"])
            items = self.resolved(schema.get("items", schema))
            value = int(text) if items.get("type") == "integer" else text
            Draft202012Validator({**items, "components": self.document["components"]}).validate(value)

    def check_answer(self, request: Request, status: int, body: Any) -> None:
        """The body for that status, "default" for one that is not listed."""
        responses = self.operation(request.method, request.path)["responses"]
        content = self.resolved(responses.get(str(status), responses["default"])).get("content")
        if content is None:
            assert body is None
        else:
            self.check(body, content)


@pytest.fixture(scope="module")
def description() -> Description:
    return Description()


@pytest.fixture
def api() -> Iterator[tuple[RunpodCloud, RunpodEmulator, Clock, str]]:
    clock = Clock()
    emulator = RunpodEmulator(Nowhere(), clock=clock, boot_s=20)
    with emulator.serving() as url:
        client = RunpodClient(RunpodConfig(emulator.key, url), clock=clock, sleep=clock.sleep)
        yield RunpodCloud(client), emulator, clock, url


def spec(settings: dict[str, Any], region: str) -> NodeSpec:
    return NodeSpec(
        name="p-s-a-g1", owner=Owner("p", "s", "inference", "a", 1), region=region, sku="8x-a100-sxm-80gb-secure",
        ssh_public_key="ssh-ed25519 AAAA", ports={"ssh": 22, "vllm": 8000},
        host_key=hostkeys.one_use("a private SSH key", "p-s-a-g1"), settings=settings,
    )  # fmt: skip


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("region", ["EU-RO-1", "any"])
def test_a_pods_whole_life_is_as_described(
    api: tuple[RunpodCloud, RunpodEmulator, Clock, str],
    description: Description,
    settings: dict[str, Any],
    region: str,
) -> None:
    cloud, emulator, clock, _ = api
    cloud.client.data_centers()
    machine = cloud.launch(spec(settings, region))
    for now in (0, 10, 20):
        clock.now = now
        cloud.get(machine.id)
        cloud.list()
    emulator.pods[machine.id].stopped = True
    cloud.get(machine.id)
    cloud.start(machine.id)
    emulator.stock = {"US-KS-2": 0}
    cloud.client.gpu(GPU, 8, "13.0")
    emulator.stock = {"US-KS-2": 0, "EU-RO-1": 0}
    cloud.terminate(machine.id)
    asked = {(r.method, re.sub(r"pod\d+", "ID", r.path)) for r in emulator.seen}
    assert {("POST", "/v2/pods"), ("DELETE", "/v2/pods/ID"), ("POST", "/v2/pods/ID/action")} <= asked
    for request in emulator.seen:
        description.check_request(request)
    for request, status, body in emulator.answers:
        description.check_answer(request, status, body)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/v2/pods/none", None, 404),
        ("DELETE", "/v2/pods/none", None, 404),
        ("POST", "/v2/pods", {"name": "n"}, 422),
        ("POST", "/v2/pods", {"name": "n", "image": "i", "gpu": {"id": GPU}, "bogus": 1}, 422),
        ("POST", "/v2/pods", {"name": "n", "image": "i"}, 400),
        ("POST", "/v2/pods", {"name": "n", "image": "i", "gpu": {"id": GPU, "count": 99}}, 400),
        ("POST", "/v2/pods/none/action", {"action": "start"}, 404),
        ("GET", "/v2/catalog/gpus/none", None, 404),
        ("GET", "/v2/network-volumes/none", None, 404),
    ],
)
def test_refusals_are_problem_documents_as_described(
    api: tuple[RunpodCloud, RunpodEmulator, Clock, str],
    description: Description,
    method: str,
    path: str,
    body: Any,
    status: int,
) -> None:
    _, emulator, _, url = api
    answer = httpx.request(method, url + path, json=body, headers={"Authorization": f"Bearer {emulator.key}"})
    assert answer.status_code == status
    description.check_answer(Request(method, path, {}, body, "", {}), status, answer.json())


@pytest.mark.parametrize(
    ("fault", "status"), [(Fault.EXPIRED_KEY, 401), (Fault.RATE_LIMITED, 429), (Fault.REFUSED_500, 500)]
)
def test_faults_are_problem_documents_as_described(
    api: tuple[RunpodCloud, RunpodEmulator, Clock, str], description: Description, fault: Fault, status: int
) -> None:
    _, emulator, _, url = api
    emulator.inject(fault)
    answer = httpx.get(url + "/v2/pods", headers={"Authorization": f"Bearer {emulator.key}"})
    assert answer.status_code == status
    description.check_answer(Request("GET", "/v2/pods", {}, None, "", {}), status, answer.json())


@pytest.mark.parametrize(
    "change",
    [
        {"entrypoint": ["sh"]}, {"name": ""}, {"disk": 0}, {"disk": "50"}, {"env": {"A": 1}}, {"cloud": "ANY"},
        {"gpu": {"id": GPU, "minCudaVersion": "13"}}, {"gpu": {"id": GPU, "bid": 1}}, {"gpu": {"count": 1}},
        {"mounts": {"network": [{"volumeId": "v"}]}}, {"ports": "22/tcp"}, {"args": ["sh"]},
    ],
)  # fmt: skip
def test_what_the_description_refuses_the_emulator_refuses_as_invalid(
    api: tuple[RunpodCloud, RunpodEmulator, Clock, str], description: Description, change: dict[str, Any]
) -> None:
    cloud, emulator, _, _ = api
    order = {"name": "n", "image": "busybox:1", "gpu": {"id": GPU, "count": 1}, **change}
    with pytest.raises(AssertionError):
        description.check(order, description.operation("POST", "/v2/pods")["requestBody"]["content"])
    with pytest.raises(CloudError, match="422 Request validation failed"):
        cloud.client.create_pod(order)
    assert emulator.machines == []
