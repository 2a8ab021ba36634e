"""Names that the state, the engine and a machine's record hold. Each is spelt here once, and none may change."""

from __future__ import annotations

FLEET = "crossover:index:Fleet"
GATEWAY = "crossover:index:Gateway"
AWS_NODE = "crossover:aws:Node"
"""The component between a Fleet, or a Gateway, and its instance at AWS."""
AWS_NETWORK = "crossover:aws:Network"

NODE = "gpucloud:index:Node"
INSTALL = "gpucloud:index:Install"
FIRST_CONTACT = "gpucloud:index:FirstContact"
CREDENTIALS = "gpucloud:index:Credentials"

CREDENTIALS_ID = "credentials-"
"""Before the stack's identity in the id of its Credentials."""

STACK = "pulumi:pulumi:Stack"
AWS_INSTANCE = "aws:ec2/instance:Instance"
AWS_SPOT_INSTANCE = "aws:ec2/spotInstanceRequest:SpotInstanceRequest"

INFERENCE_ROLE = "inference"
"""The role of a machine that serves."""
GATEWAY_ROLE = "gateway"
"""The role of a machine that routes; every other role serves behind one."""

SSH_PORT = "ssh"
SERVING_PORT = "vllm"
"""The port of a machine that serves, whatever its engine, which every gateway of the stack must reach: the name stands
in the state of stacks."""
GATEWAY_PORT = "endpoint"
"""The port of a machine that carries a gateway, whatever its role."""

MONITORING_KEY = "monitoring-key"
"""The secret that Prometheus, Alertmanager and HAProxy's statistics ask for."""
MONITORING_USER = "crossover"
"""Whose password it is, where one is asked for."""


def stack_id_of(credentials_id: str) -> str:
    """The stack's identity, of the id of its Credentials."""
    return credentials_id.removeprefix(CREDENTIALS_ID)


def urn(stack: str, project: str, chain: str, name: str) -> str:
    """Of a resource; `chain` is its type behind those of its parents, "a$b"."""
    return f"urn:pulumi:{stack}::{project}::{chain}::{name}"


def stack_of(urn: str) -> str:
    """The stack's name of urn:pulumi:<stack>::…"""
    return urn.split("::", 1)[0].removeprefix("urn:pulumi:")


def project_of(urn: str) -> str:
    """The project's name of urn:pulumi:<stack>::<project>::…"""
    return urn.split("::")[1]


def parents_of(urn: str) -> list[str]:
    """The types of a resource's parents, the outermost first."""
    return urn.split("::")[2].split("$")[:-1]


def name_of(urn: str) -> str:
    """The resource's own name."""
    return urn.rpartition("::")[2]
