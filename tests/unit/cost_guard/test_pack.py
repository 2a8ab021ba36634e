"""The pack as a process: it starts, prints its port and nothing else, and answers over gRPC as the engine asks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from cost_guard import Scenario
from cost_guard.verdict import CODES
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc

PACK = Path(__file__).parents[3] / "policies"
FLEET = "crossover:index:Fleet"


@pytest.fixture(scope="module")
def stub() -> Iterator[Any]:
    """The running pack, started the way a language host starts it."""
    command = [sys.executable, "-m", "pulumi.policy", "127.0.0.1:1", str(PACK)]
    environment = {**os.environ, "CROSSOVER_TODAY": "2026-11-22", "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, cwd=PACK, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield analyzer_pb2_grpc.AnalyzerStub(channel)
    finally:
        process.terminate()
        process.wait(timeout=20)


def analyze(stub: Any, inputs: dict[str, Any]) -> list[Any]:
    properties = struct_pb2.Struct()
    properties.update(inputs)
    request = analyzer_pb2.AnalyzeRequest(
        type=FLEET, properties=properties, urn=f"urn:pulumi:t::p::{FLEET}::fleet", name="fleet"
    )
    return list(stub.Analyze(request, timeout=60).diagnostics)


def test_the_pack_tells_its_rules(stub: Any) -> None:
    """One a reason code and the one on nodes, all mandatory; and the advisory one."""
    info = stub.GetAnalyzerInfo(empty_pb2.Empty(), timeout=60)
    assert info.name == "cost-guard"
    levels = {policy.name: policy.enforcementLevel for policy in info.policies}
    assert levels.pop("advisories") == analyzer_pb2.ADVISORY
    assert set(levels) == {*CODES, "node-outside-fleet"}
    assert set(levels.values()) == {analyzer_pb2.MANDATORY}


def test_the_pack_blocks_and_lets_through(stub: Any, ladder: Callable[..., Scenario]) -> None:
    """500e6 is a mandatory violation of break-even, which no draw reaches; at 6e9 all that is said is advisory."""
    blocked = analyze(stub, ladder(volume="500e6").to_inputs())
    mandatory = [d.policyName for d in blocked if d.enforcementLevel == analyzer_pb2.MANDATORY]
    assert mandatory == ["break-even", "probability"]
    passed = analyze(stub, ladder().to_inputs())
    assert [d.policyName for d in passed] == ["advisories"]
    assert passed[0].enforcementLevel == analyzer_pb2.ADVISORY


def test_the_pack_shares_the_projects_environment() -> None:
    """A wrong `virtualenv` can hang a preview."""
    manifest = yaml.safe_load((PACK / "PulumiPolicy.yaml").read_text())
    assert manifest["runtime"] == {"name": "python", "options": {"virtualenv": "../.venv"}}


def test_importing_the_pack_does_not_start_it() -> None:
    """The library is importable where a program, a command or a test needs it, and knows no Pulumi."""
    code = "import sys, cost_guard; print(any(name.startswith('pulumi') for name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "False"
