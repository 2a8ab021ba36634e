"""What the commands read of a stack."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from scripts.crossover import stack

CONFIG = Path(__file__).resolve().parents[3] / "stacks" / "config" / "Pulumi.local.yaml"


def test_the_verdict_needs_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """`pulumi config --json` leaves out the values of secret keys."""
    config = {key: {"objectValue": value, "secret": False} for key, value in _config().items()}
    config["crossover:apiKeys"] = {"secret": True}
    monkeypatch.setattr(stack, "pulumi", lambda *arguments: json.dumps(config))
    assert stack.verdict("prod").fixed_usd_per_month == 19940


def _config() -> dict[str, object]:
    values: dict[str, object] = yaml.safe_load(CONFIG.read_text())["config"]
    return values


def test_a_bad_configuration_is_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "pulumi", lambda *arguments: "{}")
    with pytest.raises(stack.StackError, match="crossover:workload: missing"):
        stack.verdict("prod")


@pytest.mark.parametrize("name", ["local", "organization/crossover/local"])
def test_the_key_is_readable_by_its_owner_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    monkeypatch.setattr(stack, "STATE", tmp_path)
    for key in ("one", "two", "two"):
        path = stack.key_file(name, key)
        assert (path.name, path.read_text(), path.stat().st_mode & 0o777) == ("local.key", key, 0o600)


def test_a_stack_that_is_not_up_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "pulumi", lambda *arguments: json.dumps({"model": "m"}))
    with pytest.raises(stack.StackError, match="it is not up; run `make up`"):
        stack.outputs("local")


def test_a_node_that_was_vacant_is_known_by_the_machine_that_it_got(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its resource keeps the id vacant/…: taken for the machine's, `orphans --terminate` would end a live one."""
    filled = {"id": "vacant/p-s-a-g1", "type": stack.NODE, "outputs": {"machine": {"id": "lambda/i-1"}, "key": "a"}}
    empty = {"id": "vacant/p-s-b-g1", "type": stack.NODE, "outputs": {"machine": {"id": "vacant/p-s-b-g1"}, "key": "b"}}
    begun = {"id": "runpod/pod1", "type": stack.NODE, "outputs": {}}
    deployment = {"deployment": {"resources": [filled, empty, begun]}}
    monkeypatch.setattr(stack, "pulumi", lambda *arguments: json.dumps(deployment))
    assert stack.known_machines("prod").machines == {"lambda/i-1", "vacant/p-s-b-g1", "runpod/pod1"}
    assert [node["id"] for node in stack.nodes("prod")] == ["lambda/i-1", "vacant/p-s-b-g1", "runpod/pod1"]
