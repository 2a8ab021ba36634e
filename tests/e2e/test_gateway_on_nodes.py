"""A gateway on every node instead of on a machine of its own, and an endpoint that speaks TLS."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.support.checkout import Checkout

NAME = "llm.example.com"


def answer(curl: str) -> str:
    return subprocess.run(["bash", "-c", curl], capture_output=True, text=True, timeout=60, check=False).stdout


@pytest.mark.slow  # each gateway alone: tests/integration/gateway
def test_every_node_answers_for_the_fleet_over_tls(clone: Checkout) -> None:
    clone.configure({"gateway.placement": "nodes", "gateway.tlsServerName": NAME, "gatewayNode": None})
    clone.up()
    assert set(clone.machines) == {"a", "b"}
    shown = clone.told(".venv/bin/crossover", "endpoint", "--json")
    ports = [address.rpartition(":")[2] for address in shown["addresses"]]
    assert shown["endpoint"] == f"https://{NAME}:{ports[0]}"
    assert ports == [str(clone.machines[key].ports["endpoint"]) for key in ("a", "b")]
    curl = shown["curl"][0]
    assert '"choices"' in answer(curl)
    assert '"choices"' in answer(curl.replace(f":{ports[0]}", f":{ports[1]}"))
    assert answer(re.sub(r"--cacert \S+", "", curl)) == ""  # nobody else vouches for that certificate
    assert "PASS" in clone.run(".venv/bin/crossover", "smoke")
    clone.cloud.terminate(clone.machines["a"].id)
    assert '"choices"' in answer(curl.replace(f":{ports[0]}", f":{ports[1]}"))
