"""Who has no key gets nothing from what listens on a gateway's loopback, which every user there can reach."""

from __future__ import annotations

import socket

from tests.integration.gateway.conftest import Backplane, GatewayMaker
from tests.integration.gateway.harness import LOGIN, SECRETS, ask, login

SILENCE = {
    "matchers": [{"name": "alertname", "value": ".+", "isRegex": True}],
    "startsAt": "2026-11-29T00:00:00Z", "endsAt": "2027-11-29T00:00:00Z", "createdBy": "x", "comment": "x",
}  # fmt: skip
ASKED: dict[str, list[tuple[str, str, object]]] = {
    "alertmanager": [
        ("POST", "/api/v2/silences", SILENCE),
        ("POST", "/api/v2/alerts", [{"labels": {"alertname": "Made"}}]),
        ("GET", "/api/v2/alerts", None), ("GET", "/api/v2/status", None), ("GET", "/metrics", None), ("GET", "/", None),
        ("POST", "/-/reload", None),
    ],
    "prometheus": [
        ("GET", "/api/v1/status/config", None), ("GET", "/api/v1/query?query=up", None), ("GET", "/metrics", None),
        ("GET", "/federate?match[]=up", None), ("GET", "/-/ready", None), ("GET", "/debug/pprof/", None),
    ],
    "haproxy-stats": [("GET", "/metrics", None), ("GET", "/", None)],
    "litellm": [
        ("GET", path, None)
        for path in (
            "/", "/openapi.json", "/routes", "/sso/key/generate", "/public/model_hub", "/public/providers", "/metrics",
            "/health/liveliness", "/health/readiness", "/v1/models", "/config/yaml", "/nothing",
        )
    ],
}  # fmt: skip
"""Audit 18's list, with some more of each."""
KNOWN = {
    "alertmanager": ("GET", "/api/v2/status", LOGIN),
    "prometheus": ("GET", "/api/v1/status/config", LOGIN),
    "haproxy-stats": ("GET", "/metrics", {"Authorization": f"Bearer {SECRETS['monitoring-key']}"}),
    "litellm": ("GET", "/routes", {"Authorization": f"Bearer {SECRETS['litellm-master-key']}"}),
}
"""What each answers who has its key."""
WRONG: list[dict[str, str]] = [
    {},
    {"Authorization": ""},
    {"Authorization": "Bearer wrong"},
    {"Authorization": f"Bearer {SECRETS['vllm-api-key']}"},
    login("crossover", "wrong"),
    login("crossover", ""),
    login("admin", SECRETS["monitoring-key"]),
]


def test_finding_18_every_path_asks_for_a_key(backplane: Backplane, make_gateway: GatewayMaker) -> None:
    """Audit 18: any user of the machine silenced all alerts for a year, and read series, settings and routes."""
    machine = make_gateway(ports=backplane.ports, nodes={}).machine
    for name in ("alertmanager", "prometheus"):
        machine.start(name)
    machine.wait_ready("prometheus", "alertmanager")
    for service, requests in ASKED.items():
        port = machine.ports[service]
        for method, path, body in requests:
            statuses = {ask(port, method, path, body, key=None, headers=wrong).status for wrong in WRONG}
            assert statuses == {401}, (service, path)
        method, path, shown = KNOWN[service]
        assert ask(port, method, path, key=None, headers=shown).status == 200
    assert ask(machine.ports["alertmanager"], "GET", "/api/v2/silences", key=None, headers=LOGIN).json == []


def test_finding_18_redis_asks_for_its_password(backplane: Backplane) -> None:
    """Audit 18: the rest of what listens there."""
    with socket.create_connection(("127.0.0.1", backplane.machine.ports["redis"]), 10) as connection:
        connection.sendall(b"KEYS *\r\n")
        assert connection.recv(100).startswith(b"-NOAUTH")
