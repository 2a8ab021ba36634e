"""The fleet: nodes by key in separate failure domains, each with the inference bundle on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi

from images.roles.inference.bundle import InferenceSettings, inference_bundle
from providers.resources import Credentials, Install
from stacks.machines import Machines, Rented
from stacks.settings import Settings
from strict import names
from strict.names import INFERENCE_ROLE


def server_name(key: str) -> str:
    """The name in a node's certificate: a name and not an address, so that it outlives the machine."""
    return f"{key}.nodes.crossover.internal"


class Fleet(pulumi.ComponentResource):
    """One machine and one Install per key. Its inputs are the whole scenario, in plain values, for the pack to judge.

    `nodes` maps a key to its machine: the gateway needs their addresses and nothing else.
    """

    nodes: Mapping[str, Rented]

    def __init__(self, name: str, settings: Settings, credentials: Credentials, machines: Machines) -> None:
        super().__init__(names.FLEET, name, settings.inputs)
        bundle = credentials.caCertificate.apply(lambda ca: _bundle(settings, ca))
        self.nodes = {key: machines.rent(key, self) for key in settings.fleet.nodes}
        for key, node in self.nodes.items():
            Install(
                f"{key}-inference",
                machine=node.machine,
                role=INFERENCE_ROLE,
                fleet=name,
                server_name=server_name(key),
                bundle=bundle,
                secrets=_secrets(key, credentials),
                ssh_private_key=credentials.sshPrivateKey,
                deadline_s=settings.deadlines.install_s,
                # A machine that goes takes along what is on it: what cannot be tidied up must not keep it billing.
                opts=pulumi.ResourceOptions(parent=self, deleted_with=node.takes_along),
            )
        self.register_outputs({})


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
