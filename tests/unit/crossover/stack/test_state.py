"""What the commands read of a stack."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from scripts.crossover.__main__ import app
from scripts.crossover.stack import engine, files
from scripts.crossover.stack import state as stack
from strict import names


@pytest.mark.parametrize("name", ["local", "organization/crossover/local"])
def test_the_key_is_readable_by_its_owner_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    monkeypatch.setattr(files, "STATE", tmp_path)
    for key in ("one", "two", "two"):
        path = files.key_file(name, key)
        assert (path.name, path.read_text(), path.stat().st_mode & 0o777) == ("local.key", key, 0o600)


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Writes what the engine keeps of a selection; it names the file by the SHA-1 of Pulumi.yaml's path."""
    monkeypatch.setattr(engine, "REPOSITORY", tmp_path)
    monkeypatch.setattr(engine, "STATE", tmp_path / ".state")
    monkeypatch.setattr(engine, "pulumi", lambda *arguments: pytest.fail("the engine was asked"))
    monkeypatch.delenv("PULUMI_HOME")
    (tmp_path / "Pulumi.yaml").write_text("name: crossover")
    digest = hashlib.sha1(str(tmp_path / "Pulumi.yaml").encode(), usedforsecurity=False).hexdigest()

    def write(text: str, home: Path = tmp_path / ".state" / "pulumi-home") -> None:
        (home / "workspaces").mkdir(parents=True)
        (home / "workspaces" / f"crossover-{digest}-workspace.json").write_text(text)

    return write


def test_the_selected_stack_is_known_without_the_engine(
    chosen: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """By backend; PULUMI_STACK stands above it, as for the engine."""
    assert engine.selected() == "local"
    own, bucket = f"file://{tmp_path}/.state/pulumi", "s3://bucket"
    names = {own: "organization/crossover/lambda", bucket: "organization/crossover/prod", "https://x": "acme/x/dev"}
    chosen(json.dumps({"stacks": names}))
    assert engine.selected() == "lambda"
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / ".state" / "pulumi-home"))
    monkeypatch.setenv("PULUMI_BACKEND_URL", bucket)
    assert engine.selected() == "prod"
    monkeypatch.setenv("PULUMI_BACKEND_URL", "https://x")
    assert engine.selected() == "acme/x/dev"
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://another")
    assert engine.selected() == "local"
    monkeypatch.setenv("PULUMI_STACK", "staging")
    assert engine.selected() == "staging"


def test_with_a_backend_of_its_own_the_selection_is_in_the_home(
    chosen: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://bucket")
    chosen(json.dumps({"stacks": {"s3://bucket": "prod"}}), tmp_path / "home" / ".pulumi")
    assert engine.selected() == "prod"


@pytest.mark.parametrize("text", ["", "{", "{}", '{"stacks": null}', '{"stacks": {}}'])
def test_a_selection_that_says_nothing_is_local(chosen: Callable[..., None], text: str) -> None:
    chosen(text)
    assert engine.selected() == "local"


def test_every_command_around_a_stack_takes_the_selected_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """And says so in its help."""
    monkeypatch.setenv("PULUMI_STACK", "no-such")
    for command in ("doctor", "endpoint", "nodes", "plan", "preview", "reconcile", "smoke", "ssh"):
        told = " ".join(CliRunner().invoke(app, [command, "--help"]).stdout.replace("│", " ").split())
        assert "the selected one, else local" in told, command
    done = CliRunner().invoke(app, ["plan"])
    assert (done.exit_code, done.stderr) == (1, "crossover: there is no stacks/config/Pulumi.no-such.yaml\n")


def test_a_stack_that_is_not_up_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "pulumi", lambda *arguments: json.dumps({"model": "m"}))
    with pytest.raises(engine.StackError, match="it is not up; run `make up`"):
        stack.outputs("local")


def test_a_node_that_was_vacant_is_known_by_the_machine_that_it_got(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its resource keeps the id vacant/…: taken for the machine's, `orphans --terminate` would end a live one."""
    filled = {"id": "vacant/p-s-a-g1", "type": names.NODE, "outputs": {"machine": {"id": "lambda/i-1"}, "key": "a"}}
    empty = {"id": "vacant/p-s-b-g1", "type": names.NODE, "outputs": {"machine": {"id": "vacant/p-s-b-g1"}, "key": "b"}}
    begun = {"id": "runpod/pod1", "type": names.NODE, "outputs": {}}
    deployment = {"deployment": {"resources": [filled, empty, begun]}}
    monkeypatch.setattr(stack, "pulumi", lambda *arguments: json.dumps(deployment))
    assert stack.known_machines("prod").machines == {"lambda/i-1", "vacant/p-s-b-g1", "runpod/pod1"}
    assert [node["id"] for node in stack.nodes("prod")] == ["lambda/i-1", "vacant/p-s-b-g1", "runpod/pod1"]


AT = "urn:pulumi:prod::crossover::crossover:index:Fleet$crossover:aws:Node"
AWS_NODE: dict[str, Any] = {
    "urn": f"{AT}::a", "type": names.AWS_NODE,
    "outputs": {
        "machine": {"id": "aws/i-1", "address": "a.example"}, "failureDomain": "aws/us-east-1b", "usdPerHour": "27.4",
    },
}  # fmt: skip
INSTANCE: dict[str, Any] = {
    "urn": f"{AT}$aws:ec2/instance:Instance::a", "type": names.AWS_INSTANCE, "id": "i-1", "parent": f"{AT}::a",
    "outputs": {
        "availabilityZone": "us-east-1b",
        "tags": {"crossover:mark": "crossover:crossover:prod:inference:a:1", "crossover:usd-per-hour": "27.44"},
    },
}  # fmt: skip


def exported(monkeypatch: pytest.MonkeyPatch, *resources: dict[str, Any], pending: tuple[str, ...] = ()) -> None:
    operations = [{"resource": {"type": kind}, "type": "creating"} for kind in pending]
    deployment = {"deployment": {"resources": resources, "pending_operations": operations}}
    monkeypatch.setattr(stack, "pulumi", lambda *arguments: json.dumps(deployment))


def test_a_machine_at_aws_is_a_node_as_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    exported(monkeypatch, AWS_NODE, INSTANCE)
    assert stack.known_machines("prod") == stack.Known(frozenset({"aws/i-1"}), busy=False)
    assert stack.nodes("prod") == [
        {
            "id": "aws/i-1", "initErrors": [], "key": "a", "role": "inference",
            "machine": {"id": "aws/i-1", "address": "a.example"}, "failureDomain": "aws/us-east-1b",
            "usdPerHour": "27.4",
        }
    ]  # fmt: skip


def test_the_identity_is_that_of_the_stacks_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Audit 4: in the id of the resource, which every state has had from the first."""
    exported(monkeypatch, {"urn": "u", "type": names.CREDENTIALS, "id": "credentials-1a2b3c4d"})
    assert stack.known_machines("prod").stack_id == "1a2b3c4d"
    exported(monkeypatch)
    assert stack.known_machines("prod").stack_id == ""


def test_a_machine_at_aws_whose_up_was_cut_off_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its component has no outputs yet; one that is to be deleted still bills, and is no node any more."""
    exported(monkeypatch, {**AWS_NODE, "outputs": None}, INSTANCE, {**INSTANCE, "id": "i-0", "delete": True})
    assert stack.known_machines("prod").machines == {"aws/i-1", "aws/i-0"}
    [node] = stack.nodes("prod")
    assert (node["id"], node["key"], node["usdPerHour"]) == ("aws/i-1", "a", "27.44")
    assert node["failureDomain"] == "aws/us-east-1b"


@pytest.mark.parametrize(("kind", "busy"), [(names.AWS_INSTANCE, True), (names.NODE, True), ("aws:ec2/vpc:Vpc", False)])
def test_a_machine_that_is_being_made_keeps_its_stack_busy(
    monkeypatch: pytest.MonkeyPatch, kind: str, busy: bool
) -> None:
    exported(monkeypatch, pending=(kind,))
    assert stack.known_machines("prod").busy is busy


def test_an_instance_that_is_no_node_of_ours_is_known_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bastion of somebody's, in the same program."""
    exported(monkeypatch, {**INSTANCE, "parent": "urn:pulumi:prod::crossover::pulumi:pulumi:Stack::s"})
    assert stack.nodes("prod") == []
    assert stack.known_machines("prod").machines == {"aws/i-1"}
