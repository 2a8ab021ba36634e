"""What a stack says of itself: its outputs and its nodes, read through scripts/pulumi."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from providers.clouds import aws
from providers.clouds.aws.tags import MARK, USD_PER_HOUR
from providers.renting.naming import owner_of

REPOSITORY = Path(__file__).resolve().parents[3]
STATE = REPOSITORY / ".state"
NODE = "gpucloud:index:Node"
INSTALL = "gpucloud:index:Install"
INSTANCE = "aws:ec2/instance:Instance"
"""A machine at AWS; its parent, of AWS_NODE, has the outputs of a Node."""
AWS_NODE = "crossover:aws:Node"
CREDENTIALS = "gpucloud:index:Credentials"


class StackError(Exception):
    """The stack cannot be read, or is not up. The message says what to do."""


def selected() -> str:
    """The stack that `scripts/pulumi` acts on where none is named: that of PULUMI_STACK or of `stack select`; "local"
    where none is selected.

    The engine is not asked, but the file that it keeps for this checkout is read: by backend, the full name.
    """
    backend = os.environ.get("PULUMI_BACKEND_URL")
    home = os.environ.get("PULUMI_HOME") or (Path.home() / ".pulumi" if backend else STATE / "pulumi-home")
    digest = hashlib.sha1(str(REPOSITORY / "Pulumi.yaml").encode(), usedforsecurity=False).hexdigest()
    file = Path(home) / "workspaces" / f"{project()}-{digest}-workspace.json"
    name = os.environ.get("PULUMI_STACK")
    if not name:
        # No file, or one that is just being written: none is selected.
        with suppress(OSError, ValueError):
            stacks = json.loads(file.read_text("utf-8")).get("stacks") or {}
            name = stacks.get(backend or f"file://{STATE}/pulumi")
    return (name or "local").removeprefix(f"organization/{project()}/")


Stack = Annotated[
    str,
    typer.Option(
        "--stack",
        "-s",
        default_factory=selected,
        show_default="the selected one, else local",
        help="The stack's name.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document instead of tables.")]


@contextmanager
def reading() -> Iterator[None]:
    """A stack that cannot be read ends the command with exit code 1 and the reason, not with a traceback."""
    try:
        yield
    except StackError as e:
        print(f"crossover: {e}", file=sys.stderr)
        raise typer.Exit(1) from None


@dataclass(frozen=True, slots=True)
class Outputs:
    """A running stack's outputs. `key` is the endpoint's secret."""

    endpoint: str
    addresses: tuple[str, ...]
    """"host:port" of every gateway."""
    ca_certificate: str
    """PEM; signs the endpoint's certificate where its URL is https."""
    key: str
    model: str
    managed_models: tuple[str, ...]
    prometheus: str
    """URL on the first gateway's machine."""
    alertmanager: str
    """As `prometheus`."""

    @property
    def here(self) -> bool:
        """Whether the first gateway's machine is this computer."""
        return bool(self.addresses) and self.addresses[0].startswith("127.0.0.1:")


def outputs(stack: str) -> Outputs:
    """Raises StackError where the stack does not exist or has not come up."""
    values = json.loads(pulumi("stack", "output", "--json", "--show-secrets", "--stack", stack))
    try:
        return Outputs(
            endpoint=values["endpoint"],
            addresses=tuple(values["endpointAddresses"]),
            ca_certificate=values["caCertificate"],
            key=values["endpointKey"],
            model=values["model"],
            managed_models=tuple(values["managedModels"]),
            prometheus=values["prometheus"],
            alertmanager=values["alertmanager"],
        )
    except KeyError as e:
        raise StackError(f"stack {stack} has no output {e}: it is not up; run `make up`") from None


def nodes(stack: str) -> list[dict[str, Any]]:
    """The outputs of every Node in the stack's state, and the same of every machine at AWS; secrets left encrypted."""
    found = [r for r in resources(stack) if not r.get("delete")]
    components = {r["urn"]: r.get("outputs") or {} for r in found if r["type"] == AWS_NODE}
    return [
        {
            "id": machine_id(r),
            "initErrors": r.get("initErrors") or [],
            **(_instance(r, components) if r["type"] == INSTANCE else r.get("outputs", {})),
        }
        for r in found
        if r["type"] == NODE or (r["type"] == INSTANCE and r.get("parent") in components)
    ]


def _instance(instance: dict[str, Any], components: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """What a Node's outputs would tell. Those of the component are missing where the `up` that made it was cut off."""
    outputs = instance.get("outputs") or {}
    tags = outputs.get("tags") or {}
    owner = owner_of(tags.get(MARK, ""))
    return {
        "failureDomain": f"{aws.NAME}/{outputs.get('availabilityZone', '')}",
        "usdPerHour": tags.get(USD_PER_HOUR, ""),
        **components[instance["parent"]],
        "key": owner.key if owner else instance["urn"].rpartition("::")[2],
        "role": owner.role if owner else "",
    }


def machine_id(node: dict[str, Any]) -> str:
    """ "cloud/machine id" of a Node, or of an instance at AWS, in the state; "vacant/name" where it has no machine. A
    node that was vacant keeps its resource's id, so the outputs are what counts."""
    if node["type"] == INSTANCE:
        return f"{aws.NAME}/{node['id']}" if node.get("id") else ""
    machine = (node.get("outputs") or {}).get("machine") or {}
    return str(machine.get("id") or node.get("id") or "")


def resources(stack: str) -> list[dict[str, Any]]:
    """All resources of the stack's state, secrets left encrypted. Raises StackError."""
    return list(_deployment(stack).get("resources") or [])


@dataclass(frozen=True, slots=True)
class Known:
    """What one state knows of machines."""

    machines: frozenset[str]
    """Ids "cloud/machine id", of those that are to be deleted too."""
    busy: bool
    """An operation on a machine has begun and not ended: it runs, or was killed."""


def known_machines(stack: str) -> Known:
    """Raises StackError where the state cannot be read."""
    deployment = _deployment(stack)
    rented = [r for r in deployment.get("resources") or [] if r["type"] in (NODE, INSTANCE)]
    pending = deployment.get("pending_operations") or []
    return Known(
        machines=frozenset(known for r in rented if (known := machine_id(r))),
        busy=any(operation["resource"]["type"] in (NODE, INSTANCE) for operation in pending),
    )


def stacks() -> list[str]:
    """All stacks of the project in this backend. Raises StackError."""
    return [stack["name"] for stack in json.loads(pulumi("stack", "ls", "--json"))]


def project() -> str:
    """The project's name, as machines carry it in their mark."""
    name: str = yaml.safe_load((REPOSITORY / "Pulumi.yaml").read_text())["name"]
    return name


def key_file(stack: str, key: str) -> Path:
    """Writes the endpoint's key where only its owner can read it, and returns the path."""
    return _kept(stack, "key", key)


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
    STATE.mkdir(exist_ok=True)
    if not (path.exists() and path.read_text() == text):
        draft = path.with_name(f"{path.name}.new")
        draft.unlink(missing_ok=True)
        draft.touch(mode=0o600)
        draft.write_text(text)
        draft.rename(path)
    return path


def _deployment(stack: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(pulumi("stack", "export", "--stack", stack)).get("deployment") or {}
    return found


def pulumi(*arguments: str, timeout_s: float | None = 120.0) -> str:
    """What scripts/pulumi says on standard output. Raises StackError with its own words where it fails."""
    command = [str(REPOSITORY / "scripts" / "pulumi"), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        raise StackError(
            f"{' '.join(arguments)} did not answer in {timeout_s:g} s: is the backend reachable?"
        ) from None
    if done.returncode != 0:
        raise StackError(done.stderr.strip() or done.stdout.strip())
    return done.stdout
