"""`crossover ssh`: to the right machine, with nothing of the user's own and the pinned key alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scripts.crossover.stack import files, ssh
from scripts.crossover.stack import state as stack
from scripts.crossover.stack.engine import StackError
from strict import names

HOST_KEY = "ssh-ed25519 AAAA"


def node(key: str, role: str = "inference", **machine: Any) -> dict[str, Any]:
    made = {"id": f"lambda/{key}", "address": "192.0.2.1", "sshUser": "ubuntu", "ports": {"ssh": 22.0}, **machine}
    return {
        "type": names.NODE,
        "id": f"lambda/{key}",
        "outputs": {"key": key, "role": role, "machine": {**made, "hostKey": HOST_KEY}},
    }


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, Any]]:
    """The resources of the stack's state, credentials among them."""
    secret = {"plaintext": json.dumps("the private key")}
    found = [{"type": names.CREDENTIALS, "outputs": {"sshPrivateKey": secret}}, node("b"), node("a")]
    monkeypatch.setattr(files, "STATE", tmp_path)
    for module in (files, stack):
        monkeypatch.setattr(module, "pulumi", lambda *arguments: json.dumps({"deployment": {"resources": found}}))
    return found


def test_a_login_proves_the_host_by_its_pinned_key_alone(state: list[dict[str, Any]], tmp_path: Path) -> None:
    arguments = ssh.login("prod", "b")
    assert (arguments[0], arguments[-1]) == ("ssh", "ubuntu@192.0.2.1")
    assert "StrictHostKeyChecking=yes" in arguments
    assert arguments[arguments.index("-p") + 1] == "22"
    identity = tmp_path / "prod.ssh"
    assert str(identity) in arguments
    assert (identity.read_text(), identity.stat().st_mode & 0o777) == ("the private key", 0o600)
    (hosts,) = tmp_path.glob("*.known_hosts")
    assert hosts.read_text() == f"lambda/b {HOST_KEY}\n"
    assert {f"UserKnownHostsFile={hosts}", "HostKeyAlias=lambda/b"} <= set(arguments)


def test_a_machine_without_an_open_port_is_reached_inside_a_session(state: list[dict[str, Any]]) -> None:
    state.append(node("c", tunnel="ssm:us-east-1/i-0123456789abcdef0"))
    (proxy,) = (argument for argument in ssh.login("prod", "c") if argument.startswith("ProxyCommand="))
    assert proxy.startswith("ProxyCommand=aws ssm start-session --region us-east-1 --target i-0123456789abcdef0 ")
    assert not [argument for argument in ssh.login("prod", "a") if argument.startswith("ProxyCommand=")]


def test_the_gateway_is_its_own_machine_or_the_first_node(state: list[dict[str, Any]]) -> None:
    assert "HostKeyAlias=lambda/a" in ssh.login("prod", "gateway")
    state.append(node("gateway", role="gateway"))
    assert "HostKeyAlias=lambda/gateway" in ssh.login("prod", "gateway")


def test_a_vacant_node_carries_no_gateway(state: list[dict[str, Any]]) -> None:
    state[2]["outputs"]["machine"]["address"] = ""
    assert "HostKeyAlias=lambda/b" in ssh.login("prod", "gateway")


def test_a_node_without_a_machine_and_an_unknown_one_are_named(state: list[dict[str, Any]]) -> None:
    state[1]["outputs"]["machine"]["address"] = ""
    with pytest.raises(StackError, match="node b has no machine yet"):
        ssh.login("prod", "b")
    with pytest.raises(StackError, match="no node 'c': choose one of a, b"):
        ssh.login("prod", "c")


def test_a_stack_that_is_not_up_says_so(state: list[dict[str, Any]]) -> None:
    del state[0]
    with pytest.raises(StackError, match="it is not up"):
        ssh.login("prod", "a")
