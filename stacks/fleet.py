"""The fleet: nodes by key in separate failure domains, each with the inference bundle on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
from cost_guard.evaluate import BILLS_NOTHING

from images.inference import InferenceSettings, inference_bundle
from providers.resources import Credentials, Install, Node
from stacks.settings import Settings

PORTS = {"ssh": 22, "vllm": 8000}
"""Those of a node that only serves."""


def server_name(key: str) -> str:
    """The name in a node's certificate: a name and not an address, so that it outlives the machine."""
    return f"{key}.nodes.crossover.internal"


class Fleet(pulumi.ComponentResource):
    """One Node and one Install per key. Its inputs are the whole scenario, in plain values, for the pack to judge.

    `nodes` maps a key to its Node: the gateway needs their addresses and nothing else. `gateway_ports` are those that
    every node has besides its own, because it carries a gateway.
    """

    nodes: Mapping[str, Node]

    def __init__(
        self, name: str, settings: Settings, credentials: Credentials, gateway_ports: Mapping[str, int]
    ) -> None:
        super().__init__("crossover:index:Fleet", name, settings.inputs)
        bundle = credentials.caCertificate.apply(lambda ca: _bundle(settings, ca))
        self.nodes = {
            key: rented_node(
                key,
                settings,
                credentials,
                role="inference",
                candidates=[c.model_dump(mode="json", by_alias=True, exclude_none=True) for c in node.candidates],
                ports={**PORTS, **gateway_ports},
                parent=self,
            )
            for key, node in settings.fleet.nodes.items()
        }
        for key, node in self.nodes.items():
            Install(
                f"{key}-inference",
                machine=node.machine,
                role="inference",
                fleet=name,
                server_name=server_name(key),
                bundle=bundle,
                secrets=_secrets(key, credentials),
                ssh_private_key=credentials.sshPrivateKey,
                deadline_s=settings.deadlines.install_s,
                # A machine that goes takes along what is on it: what cannot be tidied up must not keep it billing.
                opts=pulumi.ResourceOptions(parent=self, deleted_with=node),
            )
        self.register_outputs({})


def rented_node(
    name: str,
    settings: Settings,
    credentials: Credentials,
    *,
    role: str,
    candidates: Sequence[Mapping[str, Any]],
    ports: Mapping[str, int],
    parent: pulumi.Resource,
) -> Node:
    """A Node whose key is `name`, as the settings want every machine of the stack."""
    clouds = {candidate["cloud"] for candidate in candidates}
    return Node(
        name,
        key=name,
        role=role,
        candidates=candidates,
        generation=settings.generations.get(name, 1),
        ports=ports,
        ssh_public_key=credentials.sshPublicKey,
        ssh_private_key=credentials.sshPrivateKey,
        max_per_failure_domain=settings.fleet.max_per_failure_domain,
        deadline_s=settings.deadlines.rent_s,
        on_no_capacity=settings.on_no_capacity,
        settings={cloud: section for cloud, section in settings.clouds.items() if cloud in clouds},
        opts=pulumi.ResourceOptions(parent=parent, protect=_bills(candidates)),
    )


def _bills(candidates: Sequence[Mapping[str, Any]]) -> bool:
    """What costs money, and may not be had again, is protected from deletion and replacement."""
    return any(candidate["cloud"] not in BILLS_NOTHING for candidate in candidates)


def _bundle(settings: Settings, ca_certificate: str) -> dict[str, Any]:
    serving = settings.serving
    return inference_bundle(
        InferenceSettings(
            engine=serving.engine,
            model=serving.model,
            served_names=(serving.served_name,),
            max_model_len=serving.max_model_len,
            max_num_seqs=serving.max_num_seqs,
            max_num_queued_reqs=serving.max_num_queued_reqs,
            tensor_parallel_size=serving.tensor_parallel_size,
            shutdown_timeout_s=serving.shutdown_timeout_s,
        ),
        ca_certificate,
    ).to_dict()


def _secrets(key: str, credentials: Credentials) -> dict[str, pulumi.Output[str]]:
    pair = credentials.nodeCertificates.apply(lambda certificates: certificates[server_name(key)])
    return {
        "vllm-api-key": credentials.vllmApiKey,
        "tls.crt": pair.apply(lambda p: p["certificate"]),
        "tls.key": pair.apply(lambda p: p["privateKey"]),
    }
