"""GPUs are found by name at every provider that is known, and by what a pod asks for."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE

from cost_guard.pack.advisories import policies
from cost_guard.scenario.scenario import Scenario
from strict import names
from tests.support.rules import FLEET_URN, STACK, args, reports

pytestmark = pytest.mark.usefixtures("pack")
Build = Callable[..., Scenario]
RULE = next(policy for policy in policies() if policy.name == "node-outside-fleet")


def found(kind: str, props: dict[str, Any], in_fleet: bool = False, name: str = "it") -> list[str]:
    chain = f"{names.FLEET}${kind}" if in_fleet else kind
    return reports(RULE, args(props, kind, f"{STACK}{chain}::{name}", FLEET_URN if in_fleet else None))


def pod(resources: dict[str, Any]) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"containers": [{"name": "vllm", "resources": resources}]}}}}


NAMED = [
    ("aws-native:ec2:Instance", {"instanceType": "p5.48xlarge"}, "p5.48xlarge", "m7i.large"),
    ("azure-native:compute:VirtualMachine", {"hardwareProfile": {"vmSize": "Standard_ND96isr_H100_v5"}},
     "Standard_ND96isr_H100_v5", "Standard_D4s_v5"),
    ("azure-native:compute/v20240701:VirtualMachineScaleSet", {"sku": {"name": "Standard_NC24ads_A100_v4"}},
     "Standard_NC24ads_A100_v4", "Standard_D4s_v5"),
    ("azure-native:containerservice:AgentPool", {"vmSize": "standard_nv36ads_a10_v5"}, "standard_nv36ads_a10_v5",
     "Standard_D4s_v5"),
    ("gcp:compute/instance:Instance", {"machineType": "zones/us-central1-a/machineTypes/a2-ultragpu-8g"},
     "a2-ultragpu-8g", "n2-standard-8"),
    ("gcp:compute/instance:Instance", {"machineType": "n1-standard-8", "guestAccelerators": [
        {"type": "projects/p/zones/z/acceleratorTypes/nvidia-tesla-v100", "count": 8}]}, "nvidia-tesla-v100", "none"),
    ("gcp:container/nodePool:NodePool", {"nodeConfig": {"machineType": "a3-highgpu-8g"}}, "a3-highgpu-8g", "e2-small"),
    ("kubernetes:apps/v1:Deployment", pod({"limits": {"nvidia.com/gpu": "8"}}), "nvidia.com/gpu", "cpu"),
    ("kubernetes:core/v1:Pod", pod({"requests": {"aws.amazon.com/neuron": 2}}), "aws.amazon.com/neuron", "memory"),
    ("kubernetes:helm.sh/v3:Release", {"values": {"resources": {"limits": {"amd.com/gpu": 1}}}}, "amd.com/gpu", "cpu"),
    ("kubernetes:apps/v1:Deployment", {"nodeSelector": {"node.kubernetes.io/instance-type": "p4d.24xlarge"}},
     "p4d.24xlarge", "m7i.large"),
    ("command:local:Command", {"create": "aws ec2 run-instances --instance-type p4d.24xlarge"}, "p4d.24xlarge",
     "m7i.large"),
    ("command:remote:Command", {"create": "lambda launch gpu_8x_h100_sxm5"}, "gpu_8x_h100_sxm5", "cpu_4x_general"),
    ("pulumi-python:dynamic:Resource", {"gpuTypeId": "NVIDIA H100 80GB HBM3"}, "NVIDIA H100", "AMD EPYC"),
    ("pulumi-nodejs:dynamic:Resource", {"size": "Standard_ND96asr_v4"}, "Standard_ND96asr_v4", "Standard_D4s_v5"),
    ("aws:cloudformation/stack:Stack", {"templateBody": '{"InstanceType": "p5.48xlarge"}'}, "p5.48xlarge", "t3.micro"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "props", "named", "harmless"), NAMED)
def test_gpus_outside_a_fleet_are_refused_whoever_rents_them(
    kind: str, props: dict[str, Any], named: str, harmless: str
) -> None:
    """Audit 5: whatever the provider, by what a machine is called, beside what only `up` knows. Without GPUs it is not
    the gate's."""
    assert found(kind, {**props, "other": UNKNOWN_STRING_VALUE, "tags": {"for": UNKNOWN_STRING_VALUE}}) == [
        f"it rents {named} outside a Fleet, so the gate has not priced it; add it to crossover:fleet.nodes"
    ]
    assert found(kind, json.loads(json.dumps(props).replace(named, harmless))) == []


@pytest.mark.parametrize("none", [0, "0", ""])
def test_a_pod_that_asks_for_no_gpu_is_left_alone(none: Any) -> None:
    assert found("kubernetes:core/v1:Pod", pod({"limits": {"nvidia.com/gpu": none}})) == []


@pytest.mark.parametrize(
    ("kind", "props"),
    [
        ("azure-native:network:VirtualNetwork", {"name": "Standard net", "tags": {"sku": "p5"}}),
        ("gcp:storage/bucket:Bucket", {"name": "a2-weights", "type": "STANDARD"}),
        ("command:local:Command", {"create": "echo graph of p5 and g6; cp a100.md h100/"}),
        ("aws:rds/instance:Instance", {"instanceClass": "db.r7g.large", "name": "p5"}),
        ("kubernetes:core/v1:ConfigMap", {"data": {"gpu": "8"}}),
    ],
)
def test_words_that_only_look_alike_are_not_gpus(kind: str, props: dict[str, Any]) -> None:
    assert found(kind, props) == []


def own(sku: str = "aws/p4d.24xlarge", nodes: int = 2) -> dict[str, Any]:
    """A Fleet of form 2, as a program that is not ours has it."""
    return {"workload": {}, "managed": {}, "fleet": {"nodes": nodes, "sku": sku}}


GROUP = "aws:eks/nodeGroup:NodeGroup"


def test_a_fleets_own_machines_of_any_provider_pass_and_no_more() -> None:
    """Of its two nodes a group may have two; a pod on them rents nothing."""
    reports(RULE, args(own()))
    group = {"instanceTypes": ["p4d.24xlarge"], "scalingConfig": {"minSize": 1, "desiredSize": 1, "maxSize": 2}}
    assert found(GROUP, group, in_fleet=True) == []
    assert found("kubernetes:apps/v1:Deployment", pod({"limits": {"nvidia.com/gpu": 8}}), in_fleet=True) == []
    assert found(GROUP, group, in_fleet=True) == []
    more = {**group, "scalingConfig": {"maxSize": 3}}
    assert found(GROUP, more, in_fleet=True) == [
        "the Fleet has more machines with GPUs than the 2 nodes that the program itself makes in crossover:fleet.nodes"
    ]
    assert len(found("aws-native:ec2:Instance", {"instanceType": "p5.4xlarge"}, in_fleet=True, name="b")) == 1


def test_instances_of_a_fleet_that_names_one_sku_pass() -> None:
    """Form 2, at AWS or by a contract elsewhere; not where our plugin would rent them."""
    instance = {"instanceType": "p4d.24xlarge"}
    reports(RULE, args(own()))
    assert found(names.AWS_INSTANCE, instance, in_fleet=True, name="a") == []
    assert found(names.AWS_INSTANCE, instance, in_fleet=True, name="b") == []
    assert len(found(names.AWS_INSTANCE, instance, in_fleet=True, name="c")) == 1
    reports(RULE, args(own("azure/Standard_ND96asr_v4", nodes=4)))
    machine = {"hardwareProfile": {"vmSize": "Standard_ND96asr_v4"}}
    assert found("azure-native:compute:VirtualMachine", machine, in_fleet=True, name="c") == []
    reports(RULE, args(own("lambda/gpu_8x_h100_sxm5", nodes=9)))
    assert len(found(names.AWS_INSTANCE, instance, in_fleet=True, name="a")) == 1


def test_what_does_not_say_how_many_it_rents_is_refused_in_a_fleet_too() -> None:
    reports(RULE, args(own()))
    template = "aws:ec2/launchTemplate:LaunchTemplate"
    assert found(template, {"instanceType": "p4d.24xlarge"}, in_fleet=True) == [
        "it names p4d.24xlarge, and nothing of it says how many: make what says so a child of the Fleet, too"
    ]


def test_a_fleet_that_was_not_seen_has_no_machines() -> None:
    assert found(GROUP, {"instanceTypes": ["p4d.24xlarge"], "scalingConfig": {"maxSize": 1}}, in_fleet=True) == [
        "the Fleet of this instance was not seen, so the gate has not priced it; make it a child of the Fleet"
    ]
