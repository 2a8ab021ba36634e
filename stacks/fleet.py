"""The fleet: nodes by key in separate failure domains, each with the inference bundle on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
from cost_guard.evaluate import BILLS_NOTHING

from images.inference import InferenceSettings, inference_bundle
from providers.resources import Credentials, Install, Node
from stacks.settings import Settings

PORTS = {"ssh": 22, "vllm": 8000}


def server_name(key: str) -> str:
    """The name in a node's certificate: a name and not an address, so that it outlives the machine."""
    return f"{key}.nodes.crossover.internal"


class Fleet(pulumi.ComponentResource):
    """One Node and one Install per key. Its inputs are the whole scenario, in plain values, for the pack to judge.

    `nodes` maps a key to its Node: the gateway needs their addresses and nothing else.
    """

    nodes: Mapping[str, Node]

    def __init__(self, name: str, settings: Settings, credentials: Credentials) -> None:
        super().__init__("crossover:index:Fleet", name, settings.inputs)
        bundle = credentials.caCertificate.apply(lambda ca: _bundle(settings, ca))
        self.nodes = {key: self._node(key, settings, credentials) for key in settings.fleet.nodes}
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

    def _node(self, key: str, settings: Settings, credentials: Credentials) -> Node:
        candidates = [
            candidate.model_dump(mode="json", by_alias=True, exclude_none=True)
            for candidate in settings.fleet.nodes[key].candidates
        ]
        return Node(
            key,
            key=key,
            role="inference",
            candidates=candidates,
            generation=settings.generations.get(key, 1),
            ports=PORTS,
            ssh_public_key=credentials.sshPublicKey,
            ssh_private_key=credentials.sshPrivateKey,
            max_per_failure_domain=settings.fleet.max_per_failure_domain,
            deadline_s=settings.deadlines.rent_s,
            on_no_capacity=settings.on_no_capacity,
            settings=settings.clouds,
            opts=pulumi.ResourceOptions(parent=self, protect=_bills(candidates)),
        )


def _bills(candidates: list[dict[str, Any]]) -> bool:
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
