"""The real AWS provider for an engine, and a look at the account that moto keeps."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.moto import REPOSITORY, Moto

TESTBED = Path(os.environ.get("CROSSOVER_TESTBED") or REPOSITORY.parent / "shared" / "testbed")
PROVIDER = "terraform-provider-aws"
"""In the command of the processes that the testbed's plugin leaves behind."""
P = "L-417A185B"
STANDARD = "L-1216C47A"


@dataclass(frozen=True)
class Plugin:
    """The testbed's AWS plugin: where it lies, and the variables that it reads."""

    folder: str
    variables: dict[str, str]

    def environment(self, path: str) -> dict[str, str]:
        """Variables with which an engine whose PATH is `path` finds it."""
        return {**self.variables, "PATH": f"{self.folder}:{path}"}


def plugin(folder: Path) -> Plugin:
    """Puts a file of the plugin's into `folder`. Skips the test where there is no testbed, or no provider for it."""
    script = TESTBED / "plugins"
    if not script.exists():
        pytest.skip(f"no testbed at {TESTBED}: set CROSSOVER_TESTBED to its folder")
    for _ in range(3):  # it looks through the whole disk, and gives up where a file goes meanwhile
        shown = subprocess.run(
            ["bash", "-c", 'eval "$(bash "$0")"; env -0', str(script)], capture_output=True, text=True
        )
        found = dict(line.split("=", 1) for line in shown.stdout.split("\0") if "=" in line)
        if "AWSB_TF_PROVIDER" in found:
            break
    else:
        pytest.skip(
            f"no terraform-provider-aws_v5* on this machine, which the testbed's AWS plugin needs: {shown.stderr}"
        )
    # The table gives two data sources of EC2 the names of RDS's; the SDK calls them so.
    table = json.loads(Path(found["AWSB_TOKENS"]).read_text())
    table["dataSources"]["aws_instance"] = "aws:ec2/getInstance:getInstance"
    table["dataSources"]["aws_instances"] = "aws:ec2/getInstances:getInstances"
    tokens = folder / "tokens.json"
    tokens.write_text(json.dumps(table))
    variables = {"AWSB_TF_PROVIDER": found["AWSB_TF_PROVIDER"], "AWSB_TOKENS": str(tokens)}
    return Plugin(found["PATH"].split(":")[0], variables)


@dataclass(frozen=True)
class Region:
    """What the account has in one region."""

    moto: Moto
    name: str = "us-east-1"

    def call(self, service: str, operation: str, **arguments: Any) -> Any:
        """The API's own answer."""
        return self.moto.call(service, operation, region=self.name, **arguments)

    def images(self) -> list[str]:
        """Ids of images that moto has."""
        return sorted(image["ImageId"] for image in self.call("ec2", "describe_images")["Images"])

    def instances(self) -> dict[str, dict[str, Any]]:
        """Key → instance, of those that live."""
        answer = self.call("ec2", "describe_instances")
        living = [i for r in answer["Reservations"] for i in r["Instances"] if i["State"]["Name"] != "terminated"]
        return {tags(i)["crossover:mark"].split(":")[4]: i for i in living}

    def groups(self) -> list[dict[str, Any]]:
        """All security groups."""
        groups: list[dict[str, Any]] = self.call("ec2", "describe_security_groups")["SecurityGroups"]
        return groups

    def things(self) -> dict[str, int]:
        """How many there are of all that the stack makes besides instances."""
        counted = {
            ("ec2", "describe_vpcs"): "Vpcs",
            ("ec2", "describe_subnets"): "Subnets",
            ("ec2", "describe_security_groups"): "SecurityGroups",
            ("ec2", "describe_internet_gateways"): "InternetGateways",
            ("ec2", "describe_route_tables"): "RouteTables",
            ("ec2", "describe_key_pairs"): "KeyPairs",
            ("ec2", "describe_volumes"): "Volumes",
            ("iam", "list_roles"): "Roles",
            ("iam", "list_instance_profiles"): "InstanceProfiles",
        }
        return {kind: len(self.call(*operation)[kind]) for operation, kind in counted.items()}


def tags(thing: dict[str, Any]) -> dict[str, str]:
    """Key → value."""
    return {tag["Key"]: tag["Value"] for tag in thing["Tags"]}
