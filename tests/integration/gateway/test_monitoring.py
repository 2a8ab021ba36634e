"""The real Prometheus and Alertmanager of the bundle, on a running gateway."""

from __future__ import annotations

import json
import re
from urllib.parse import quote

from scripts.crossover.commands.nodes import SERVES
from tests.integration.gateway.conftest import IMPATIENT, Backplane, Gateway, GatewayMaker
from tests.integration.gateway.harness import LOGIN, REPOSITORY, ask, chat, wait_for


def _query(gateway: Gateway, expression: str) -> list[dict[str, object]]:
    answer = ask(gateway.machine.ports["prometheus"], "GET", f"/api/v1/query?query={quote(expression)}", headers=LOGIN)
    assert answer.status == 200, answer.body
    result: list[dict[str, object]] = answer.json["data"]["result"]
    return result


def _alerts(gateway: Gateway, name: str) -> list[dict[str, object]]:
    answer = ask(gateway.machine.ports["alertmanager"], "GET", "/api/v2/alerts", headers=LOGIN)
    return [a for a in answer.json if a["labels"]["alertname"] == name]


def _serving(gateway: Gateway) -> dict[str, str]:
    rows = [json.loads(json.dumps(row)) for row in _query(gateway, SERVES)]
    return {row["metric"]["node"]: row["value"][1] for row in rows}


def _names_in_rules() -> set[str]:
    """Every series of the exporters that some rule reads: a misspelt one would never fire."""
    text = "\n".join(f.read_text() for f in (REPOSITORY / "images/roles/monitoring/rules").glob("*.yaml"))
    return set(re.findall(r"\b(?:haproxy_|vllm:)[a-z0-9_]+", text))


def test_nodes_and_gateway_are_scraped_and_a_dead_node_becomes_an_alert(
    make_gateway: GatewayMaker, backplane: Backplane
) -> None:
    gateway = make_gateway(ports=backplane.ports, **IMPATIENT)
    rules = gateway.machine.root / "prometheus/rules/nodes.yaml"
    rules.write_text(rules.read_text().replace("for: 1m", "for: 1s"))
    alertmanager = gateway.machine.root / "alertmanager/alertmanager.yml"
    alertmanager.write_text(alertmanager.read_text().replace("group_wait: 30s", "group_wait: 1s"))
    gateway.machine.start("alertmanager")
    gateway.machine.start("prometheus")
    gateway.machine.wait_ready("prometheus", "alertmanager")

    def up() -> set[tuple[str, str]]:
        rows = [json.loads(json.dumps(r["metric"])) for r in _query(gateway, "up == 1")]
        return {(m["job"], m.get("node", "")) for m in rows}

    everything = {("vllm", "a"), ("vllm", "b")} | {
        (j, "") for j in ("haproxy", "litellm", "prometheus", "alertmanager")
    }
    wait_for(f"scraped: {everything}", lambda: up() == everything)
    gateway.ask(chat(max_tokens=4))
    wait_for("tokens counted", lambda: _query(gateway, "sum(vllm:generation_tokens_total) >= 4"))
    wait_for("serving nodes", lambda: _query(gateway, "crossover:nodes:serving == 2"))
    wait_for("both serve, as `crossover nodes` asks", lambda: _serving(gateway) == {"a": "1", "b": "1"})
    assert _query(gateway, "crossover:limit:nodes == 2")
    for name in _names_in_rules():
        wait_for(f"a series {name}", lambda n=name: _query(gateway, f"count({n})"))  # type: ignore[misc]

    gateway.nodes["b"].fault("hang")  # it is scraped all the same
    wait_for("b gets no requests", lambda: _serving(gateway) == {"a": "1", "b": "0"})
    gateway.nodes["b"].fault("none")
    # Else there is a moment without any node, and its alert tells of 0.
    wait_for("b is back", lambda: _serving(gateway) == {"a": "1", "b": "1"})
    wait_for("b's alert is over", lambda: not _alerts(gateway, "RedundancyLost"))
    gateway.nodes["a"].kill()
    alert = wait_for("the alert at Alertmanager", lambda: _alerts(gateway, "RedundancyLost"))[0]
    assert alert["labels"]["stack"] == "test"  # type: ignore[index]
    assert alert["annotations"]["runbook"] == "docs/runbooks/RedundancyLost.md"  # type: ignore[index]
    assert "Only 1 nodes serve" in alert["annotations"]["summary"]  # type: ignore[index]
