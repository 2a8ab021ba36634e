"""`make bench`: what the path costs, measured in one run on one machine. Prints the table of docs/performance.md.

Ratios are what to compare; absolute times are this machine's. Needs what `make test` needs.
"""

from __future__ import annotations

import http.client
import json
import statistics
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from providers.base import Machine
from tests.support.checkout import Checkout
from tests.support.credentials import Made
from tests.support.processes import memory_bytes

REQUESTS = 300


def main() -> None:
    """Brings a stack up, measures, and ends it."""
    checkout = Checkout.make()
    rows: list[tuple[str, str]] = []
    try:
        checkout.init()
        first = seconds(lambda: checkout.up("--policy-pack", "policies"))
        again = seconds(lambda: checkout.up("--policy-pack", "policies", "--refresh"))
        rows.append(("first `up`, environments cached", f"{first:.1f} s"))
        rows.append(
            ("second `up` with a look at every machine, nothing changed", f"{again:.1f} s ({again / first:.2f}×)")
        )
        plain = min(seconds(lambda: checkout.pulumi("preview", "-s", "local")) for _ in range(3))
        gated = min(
            seconds(lambda: checkout.pulumi("preview", "-s", "local", "--policy-pack", "policies")) for _ in range(3)
        )
        rows.append(("preview without the pack", f"{plain:.2f} s"))
        rows.append(("preview with the pack", f"{gated:.2f} s ({gated / plain:.2f}×)"))
        rows += latencies(checkout)
        rows.append(("memory of the running stack (PSS)", f"{memory(checkout) / 1e6:.0f} MB"))
    finally:
        checkout.discard()
    print("\n| What | Measured |\n|---|---|")
    for what, measured in rows:
        print(f"| {what} | {measured} |")


def seconds(work: Callable[[], object]) -> float:
    """How long it took."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def latencies(checkout: Checkout) -> list[tuple[str, str]]:
    """A one-token completion, one connection, in turn directly to a node over TLS and through the gateway."""
    reached, node = checkout.outputs(), checkout.machines["a"]
    direct, gateway = to_node(checkout, node), to_gateway(reached)
    times: dict[str, list[float]] = {"direct": [], "gateway": []}
    for _ in range(REQUESTS):
        times["direct"].append(seconds(direct))
        times["gateway"].append(seconds(gateway))
    middle = {name: statistics.median(values) * 1e3 for name, values in times.items()}
    ratio = middle["gateway"] / middle["direct"]
    return [
        ("one-token completion, directly to a node over TLS, p50", f"{middle['direct']:.2f} ms"),
        ("the same through the gateway, p50", f"{middle['gateway']:.2f} ms ({ratio:.2f}×)"),
    ]


def to_node(checkout: Checkout, node: Machine) -> Callable[[], None]:
    """Past the gateway, as HAProxy does it: with the CA, the stack's client certificate and vLLM's key."""
    exported = checkout.told("scripts/pulumi", "stack", "export", "--show-secrets", "-s", "local")
    resources = exported["deployment"]["resources"]
    made = next(r["outputs"] for r in resources if r["type"] == "gpucloud:index:Credentials")
    # The address is not the name; the CA signs nothing else that serves.
    context = Made(made).context(json.loads(made["clientCertificate"]["plaintext"]))
    connection = http.client.HTTPSConnection(str(node.address), node.ports["vllm"], context=context)
    return lambda: ask(connection, json.loads(made["vllmApiKey"]["plaintext"]), "llama-70b")


def to_gateway(reached: dict[str, str]) -> Callable[[], None]:
    """As a client."""
    connection = http.client.HTTPConnection(urlsplit(reached["endpoint"]).netloc)
    return lambda: ask(connection, reached["endpointKey"], reached["model"])


def ask(connection: http.client.HTTPConnection, key: str, model: str) -> None:
    """One token. Raises AssertionError for anything but 200."""
    body = json.dumps({"model": model, "prompt": "hi", "max_tokens": 1})
    connection.request("POST", "/v1/completions", body, {
        "Authorization": f"Bearer {key}", "Content-Type": "application/json"})  # fmt: skip
    response = connection.getresponse()
    response.read()
    assert response.status == 200, response.status


def memory(checkout: Checkout) -> int:
    """Bytes, each shared page counted once."""
    client = checkout.cloud.client
    return sum(memory_bytes(pid) for m in checkout.machines.values() for pid in client.processes(m.id))


if __name__ == "__main__":
    main()
