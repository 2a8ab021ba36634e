"""What a person or a client of the stack needs on disk: its keys and certificates, readable by their owner alone."""

from __future__ import annotations

import json
from pathlib import Path

from scripts.crossover.stack.engine import STATE, StackError, pulumi
from strict.names import CREDENTIALS


def key_file(stack: str, key: str) -> Path:
    """Writes the endpoint's key where only its owner can read it, and returns the path."""
    return _kept(stack, "key", key)


def monitoring_key_file(stack: str, key: str) -> Path:
    """Writes the password of Prometheus and Alertmanager, likewise, and returns the path."""
    return _kept(stack, "monitoring-key", key)


def ca_file(stack: str, certificate: str) -> Path:
    """Writes the certificate of the stack's CA, and returns the path."""
    return _kept(stack, "ca.pem", certificate)


def identity_file(stack: str) -> Path:
    """Writes the stack's private SSH key where only its owner can read it, and returns the path. Raises StackError."""
    exported = json.loads(pulumi("stack", "export", "--show-secrets", "--stack", stack)).get("deployment") or {}
    for resource in exported.get("resources") or []:
        if resource["type"] == CREDENTIALS and not resource.get("delete"):
            return _kept(stack, "ssh", json.loads(resource["outputs"]["sshPrivateKey"]["plaintext"]))
    raise StackError(f"stack {stack} has no credentials: it is not up; run `make up`")


def known_hosts_file(stack: str, machine: str, host_key: str) -> Path:
    """Writes the one host key that a machine is accepted with, by the machine's id, and returns the path."""
    return _kept(stack, f"{machine.replace('/', '-')}.known_hosts", f"{machine} {host_key}\n")


def _kept(stack: str, suffix: str, text: str) -> Path:
    path = STATE / f"{stack.rpartition('/')[2]}.{suffix}"  # of organization/project/stack, the stack
    STATE.mkdir(exist_ok=True, mode=0o700)
    if not (path.exists() and path.read_text() == text):
        draft = path.with_name(f"{path.name}.new")
        draft.unlink(missing_ok=True)
        draft.touch(mode=0o600)
        draft.write_text(text)
        draft.rename(path)
    return path
