"""The program under Pulumi's mocks: what it registers of a stack's configuration, without engine, plugin or cloud."""

from __future__ import annotations

import json
import os
import runpy
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import pulumi
import yaml
from google.protobuf.json_format import MessageToDict
from pulumi.runtime import mocks, settings
from pulumi.runtime.stack import run_pulumi_func

from providers.clouds.aws.client import AwsClient
from tests.support.checkout import REPOSITORY
from tests.support.credentials import Made as MadeCredentials
from tests.support.mocks import Monitor, current_loop

CONFIG = REPOSITORY / "stacks" / "config"
PROGRAM = REPOSITORY / "stacks" / "__main__.py"
SECRET = "4dabf18193072939515e22adb298388d"
"""The key by which Pulumi marks a value as secret."""
NODE, INSTALL, CONTACT = "gpucloud:index:Node", "gpucloud:index:Install", "gpucloud:index:FirstContact"
CREDENTIALS, FLEET, GATEWAY = "gpucloud:index:Credentials", "crossover:index:Fleet", "crossover:index:Gateway"
AWS_NODE, INSTANCE = "crossover:aws:Node", "aws:ec2/instance:Instance"
PRIVATE = (
    "sshPrivateKey", "caPrivateKey", "clientCertificate", "endpointKey", "vllmApiKey", "litellmMasterKey",
    "redisPassword", "standInKey",
)  # fmt: skip
"""What Credentials makes and nobody may read in a plan."""


CA = MadeCredentials.of().ca
"""A real one: the program looks when it ends."""


class Answers(mocks.Mocks):
    """The plugin's outputs."""

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        made = dict(args.inputs)
        if args.typ == CREDENTIALS:
            pairs = {name: {"certificate": f"crt-{name}", "privateKey": f"hidden-{name}"} for name in made["nodes"]}
            made |= {"sshPublicKey": "ssh-ed25519 AAAA", "caCertificate": CA, "nodeCertificates": hidden(pairs)}
            made |= {name: hidden(f"hidden-{name}") for name in PRIVATE}
            if made["generation"] > 1:
                names = ("endpointKey", "vllmApiKey", "clientCertificate", "caCertificate")
                made["former"] = hidden({name: f"former-{name}" for name in names} | {"caCertificate": "former-ca"})
        if args.typ == NODE:
            made["machine"] = machine(made["key"], made["ports"], made["candidates"][0]["cloud"])
        if args.typ == INSTANCE:
            made |= {"publicDns": f"{args.name}.example", "privateIp": "10.0.0.1"}
        if args.typ == CONTACT:
            made["machine"] = {**made["reported"], "supervision": "systemd"}
        return f"{args.name}-id", made

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        raise AssertionError(args.token)


def at_aws(client: AwsClient, service: str, operation: str, region: str, **arguments: Any) -> dict[str, Any]:
    """What AWS answers before anything is registered."""
    match operation:
        case "get_caller_identity":
            return {"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/ci"}
        case "describe_instance_type_offerings":
            pairs = [(sku, f"{region}{zone}") for sku in arguments["Filters"][0]["Values"] for zone in "abc"]
            return {"InstanceTypeOfferings": [{"InstanceType": sku, "Location": zone} for sku, zone in pairs]}
        case "describe_instance_types":
            kind = {"VCpuInfo": {"DefaultVCpus": 2}, "ProcessorInfo": {"SupportedArchitectures": ["x86_64"]}}
            return {"InstanceTypes": [{"InstanceType": sku, **kind} for sku in arguments["InstanceTypes"]]}
        case "get_service_quota":
            return {"Quota": {"Value": 1000.0}}
        case "describe_instances":
            return {"Reservations": []}
        case "get_parameter":
            return {"Parameter": {"Value": "ami-0"}}
    raise AssertionError(f"{service} {operation}")


def hidden(value: Any) -> Any:
    """As the plugin marks what it made."""
    return {SECRET: "1b47061264138c4ac30d75fd1eb44270", "value": value}


def machine(key: str, ports: dict[str, float], cloud: str) -> dict[str, Any]:
    """As a Node reports one that its first rung gave; of `key`, the address."""
    return {"id": f"{cloud}/{key}", "address": f"{key}.example", "ports": ports, "root": "/opt/crossover"}


@dataclass
class Made:
    """All that one run registered. A resource is called by type and name."""

    requests: dict[tuple[str, str], Any] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    """What the stack exports."""
    secret_outputs: set[str] = field(default_factory=set)
    error: str = ""

    def of(self, kind: str) -> list[str]:
        """The names of one type, sorted."""
        return sorted(name for typ, name in self.requests if typ == kind)

    def parent(self, kind: str, name: str) -> str:
        """The type and name of its parent."""
        return short(self.requests[kind, name].parent)

    def inputs(self, kind: str, name: str) -> dict[str, Any]:
        """As they go over the wire: secrets marked."""
        plain: dict[str, Any] = MessageToDict(self.requests[kind, name].object)
        return plain

    def secrets(self, install: str) -> dict[str, str]:
        """What is put onto its machine as secrets, by name."""
        given = self.inputs(INSTALL, install)["secrets"]
        return {name: _plain(value) for name, value in _plain(given).items()}

    def file(self, install: str, path: str) -> str:
        """A file of its bundle."""
        bundle = _plain(self.inputs(INSTALL, install)["bundle"])
        return str(bundle["files"][path]["content"])

    def needs(self, kind: str, name: str) -> set[str]:
        """The types and names of what must be there first."""
        return {short(urn) for urn in self.requests[kind, name].dependencies}


def _plain(value: Any) -> Any:
    return value["value"] if isinstance(value, dict) and SECRET in value else value


def short(urn: str) -> str:
    """Type and name of a URN."""
    return " ".join(urn.replace("$", "::").split("::")[-2:])


def compose(stack: str, *, preview: bool = False, **change: Any) -> Made:
    """Runs the program on the stack's committed configuration, with these keys changed."""
    config = yaml.safe_load((CONFIG / f"Pulumi.{stack}.yaml").read_text())["config"]
    config |= {
        "crossover:apiKeys": {"openai": "hidden-openai", "hf": "hidden-hf"},
        **{f"crossover:{k}": v for k, v in change.items()},
    }
    if stack == "local":
        del config["crossover:apiKeys"]
    given = {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
    monitor = Monitor(Answers())
    made = Made(monitor.requests)
    before = dict(os.environ)
    os.environ |= {"PULUMI_CONFIG": json.dumps(given), "CROSSOVER_TODAY": "2026-11-23"}
    try:
        pulumi.runtime.set_all_config(given)
        with current_loop() as loop:
            mocks.set_mocks(Answers(), project="crossover", stack=stack, preview=preview, monitor=monitor)
            with patch.object(AwsClient, "ask", at_aws):
                loop.run_until_complete(run_pulumi_func(program))
            loop.run_until_complete(exports(made))
    except pulumi.RunError as error:
        made.error = str(error)
    finally:
        os.environ.clear()
        os.environ |= before
        pulumi.runtime.set_all_config({})
    return made


def program() -> None:
    """As the language host runs it."""
    runpy.run_path(str(PROGRAM), run_name="__main__")


async def exports(made: Made) -> None:
    """Fills in what the stack exports."""
    for name, output in settings.get_root_resource().outputs.items():  # type: ignore[union-attr]
        made.outputs[name] = await pulumi.Output.from_input(output).future()
        if await pulumi.Output.from_input(output).is_secret():
            made.secret_outputs.add(name)
