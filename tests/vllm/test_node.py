"""A whole stack on this computer whose nodes are a real vLLM, for the CPU: what nothing else here brings up."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_repair import clients, wait_for
from tests.support.checkout import TODAY, Checkout
from tests.support.processes import alive
from tests.vllm.real import needs_it, program

UP_S = 1200
"""Two of them load at once, on cores that they share; a rolling change loads them one after the other."""
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"unit": {"enum": ["celsius"]}},
            "required": ["unit"],
            "additionalProperties": False,
        },
    },
}
"""Its arguments are finite, and `strict` holds vLLM to them: random weights, too, can only say them."""

WAIVED = """\
- {{policy: throughput-known, stack: local, owner: tests, approver: nobody, reason: a tiny model has no throughput,
   ticket: TINY-1, created: {today}, expires: {today}}}
"""
"""The gate knows no speed of random weights."""

pytestmark = [needs_it, pytest.mark.timeout(3 * UP_S)]


def serving(model: str) -> dict[str, Any]:
    """The section of a stack: what a GPU node has, but for the memory, and without CUDA's graphs."""
    return {
        "engine": "vllm",
        "model": "crossover/tiny",
        "servedName": "tiny",
        "weights": {"source": "path", "path": model, "unverified": True},
        "toolCallParser": "hermes",
        "tensorParallelSize": 1,
        "maxModelLen": 2048,
        "maxNumSeqs": 16,
        "maxNumQueuedReqs": 64,
        "engineArgs": {"enforce-eager": True},
        "environment": {"VLLM_CPU_KVCACHE_SPACE": "1"},
    }


@pytest.fixture
def stack() -> Iterator[Checkout]:
    """A clone of this project, configured. vLLM is on the PATH of its machines, behind all else."""
    vllm, model = program()
    checkout = Checkout.make()
    checkout.timeout_s = UP_S
    checkout.variables["PATH"] = f"{os.environ['PATH']}:{Path(vllm).parent}"
    try:
        checkout.init()
        checkout.configure({"serving": serving(model), "deadlines": {"rentS": 60, "installS": UP_S}})
        (checkout.folder / "waivers.yaml").write_text(WAIVED.format(today=TODAY))
        yield checkout
    finally:
        checkout.discard()


def asked(reached: dict[str, Any], **fields: Any) -> Any:
    """The first choice of a chat through the gateway."""
    request = urllib.request.Request(
        f"{reached['endpoint']}/v1/chat/completions",
        json.dumps({"model": "tiny", "messages": [{"role": "user", "content": "hello"}], **fields}).encode(),
        {"Authorization": f"Bearer {reached['endpointKey']}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["choices"][0]


def test_a_stack_of_real_vllms_serves_calls_a_tool_and_changes_unfelt(stack: Checkout) -> None:
    first = stack.up("--policy-pack", "policies")
    reached, before = stack.outputs(), stack.machines
    assert asked(reached, max_tokens=4, temperature=0)["message"]["content"], first
    call = asked(reached, tools=[TOOL], tool_choice="required", max_tokens=400)["message"]["tool_calls"][0]["function"]
    assert (call["name"], json.loads(call["arguments"])) == ("weather", {"unit": "celsius"})

    stack.configure({"serving.maxNumSeqs": 8})
    with clients(reached["endpoint"], reached["endpointKey"], "tiny") as load:
        wait_for(load, lambda: load.total >= 20)
        changed = stack.up("--policy-pack", "policies")
    print(load)
    for key in ("a", "b"):
        assert f"{key} is out of rotation, all its requests finished" in changed
    assert (load.broken, load.cut, set(load.answers)) == ([], 0, {200}), changed
    assert load.models == {"tiny"}
    assert {key: m.id for key, m in stack.machines.items()} == {key: m.id for key, m in before.items()}

    pids = {pid for machine in before.values() for pid in stack.cloud.client.processes(machine.id)}
    stack.run("scripts/down", "local")
    assert stack.machines == {}
    assert [pid for pid in pids if alive(pid)] == []
