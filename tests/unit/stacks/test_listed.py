"""What a stack's configuration tells of what it makes besides nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pulumi_policy import PolicyResource

from cost_guard.catalogue.catalogue import load_catalogue
from cost_guard.pack.priced import priced_resources_usd_per_month
from cost_guard.scenario.proposal import parse_proposal
from cost_guard.verdict.facts.beside import resource_facts
from images.sources import REPOSITORY
from providers.base import Capability
from providers.registry import CLOUDS
from stacks.judged.listed import listed_resources
from stacks.settings import proposals_of
from strict import names
from tests.support.catalogue import document
from tests.support.rules import STACK, resource


def example(name: str) -> dict[str, Any]:
    """The committed configuration, without its namespace."""
    text = Path(REPOSITORY, "stacks", "config", f"Pulumi.{name}.yaml").read_text("utf-8")
    return {key.partition(":")[2]: value for key, value in yaml.safe_load(text)["config"].items()}


def test_of_aws_it_lists_root_disks_and_the_gateways_machine() -> None:
    """Three disks of 500 GB, a c7i.large and its 50 GB: what providers/clouds/aws/resources makes."""
    found = [(one.row, one.count, int(one.gb), one.region) for one in listed_resources(example("aws"))]
    region = "us-west-2"
    assert found == [("aws/ebs/gp3", 3, 500, region), ("aws/c7i.large", 1, 0, region), ("aws/ebs/gp3", 1, 50, region)]


def test_a_cloud_whose_machines_are_the_programs_own_says_what_else_it_makes() -> None:
    """Their disks are the program's, too."""
    declared = {name for name, row in CLOUDS.items() if Capability.DECLARED in row.capabilities}
    assert declared == {name for name, row in CLOUDS.items() if row.listed}


def test_finding_14_root_gb_is_in_what_is_judged() -> None:
    """Audit 14: `clouds.aws.rootGb: 16384` on three nodes is $3,932.16 a month instead of $120."""
    values = example("aws")
    values["clouds"] = {"aws": {**values["clouds"]["aws"], "rootGb": 16384}}
    (one,) = proposals_of(values, REPOSITORY).values()
    listed = resource_facts(one, load_catalogue()).usd_per_month
    # the gateway's: 0.08925 × 730 for a c7i.large, 50 GB
    assert float(listed) == pytest.approx(3 * 16384 * 0.08 + 0.08925 * 730 + 50 * 0.08)


def test_the_pack_finds_the_same_in_what_the_program_makes() -> None:
    """Each machine as providers/clouds/aws/resources makes it: what is listed does not count twice."""

    def machine(sku: str, gb: int, chain: str, name: str) -> PolicyResource:
        root = {"volumeType": "gp3", "volumeSize": gb}
        urn = f"{STACK}{chain}${names.AWS_NODE}${names.AWS_INSTANCE}::{name}"
        return resource({"instanceType": sku, "rootBlockDevice": root}, names.AWS_INSTANCE, urn, "us-west-2")

    nodes = [machine("p4de.24xlarge", 500, names.FLEET, key) for key in "abc"]
    plan = priced_resources_usd_per_month([*nodes, machine("c7i.large", 50, names.GATEWAY, "gateway")])
    given = parse_proposal(
        document({"a": [{"cloud": "aws", "region": "us-west-2", "sku": "p4de.24xlarge"}]}),
        resources=listed_resources(example("aws")),
    )
    assert resource_facts(given, load_catalogue()).usd_per_month == plan.usd_per_month


@pytest.mark.parametrize("name", ["existing", "lambda", "local", "mixed", "runpod", "vastai"])
def test_where_nothing_is_listed_a_fleets_inputs_are_as_they_were(name: str) -> None:
    """Those clouds' machines come with their disks, or the list of prices has none."""
    assert all(one.row.startswith("aws/") for one in listed_resources(example(name)))


@pytest.mark.parametrize(
    "change",
    [
        {"clouds": {"aws": {"rootGb": "large"}}},
        {"clouds": 7},
        {"fleet": {"nodes": 2}},
        {"fleet": {"nodes": {"a": {"candidates": []}, "b": 3, "c": {"candidates": ["x"]}}}},
        {"gatewayNode": {"cloud": "nowhere", "region": "x", "sku": "y"}},
        {"gatewayNode": 3},
    ],
)
def test_what_cannot_be_read_is_told_by_who_reads_it_whole(change: dict[str, Any]) -> None:
    """Nothing is raised here."""
    assert isinstance(listed_resources({**example("aws"), **change}), tuple)


def test_all_models_of_a_stack_share_them() -> None:
    """Each of two models has the disks of both."""
    values = example("aws")
    own = {key: values.pop(key) for key in ("workload", "managed", "fleet", "serving")}
    renamed = {"nodes": {f"{key}2": node for key, node in own["fleet"]["nodes"].items()}}
    models = {"one": own, "two": {**own, "fleet": renamed}}
    found = proposals_of({**values, "models": models}, REPOSITORY)
    assert [sum(r.count for r in one.resources) for one in found.values()] == [8, 8]
