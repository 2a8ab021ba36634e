"""The gateway as resources: one machine, and the bundle that needs the nodes' addresses but none of them ready."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi

from images.bundle import Bundle
from providers.resources import Credentials, Install, Node
from stacks.fleet import server_name
from stacks.gateway.bundle import PORTS as GATEWAY_PORTS
from stacks.gateway.bundle import gateway_bundle
from stacks.gateway.model import Peer
from stacks.monitoring.bundle import PORTS as MONITORING_PORTS
from stacks.monitoring.bundle import monitoring_bundle
from stacks.monitoring.model import Limits
from stacks.settings import Settings

PORTS = {"ssh": 22, **GATEWAY_PORTS, **MONITORING_PORTS}


class Gateway(pulumi.ComponentResource):
    """HAProxy, LiteLLM, Redis, Prometheus and Alertmanager on a machine of their own.

    Outputs: `endpoint`, `prometheus`, `alertmanager`, each a URL.
    """

    endpoint: pulumi.Output[str]
    prometheus: pulumi.Output[str]
    alertmanager: pulumi.Output[str]

    def __init__(
        self, name: str, settings: Settings, credentials: Credentials, nodes: Mapping[str, Node], limits: Limits
    ) -> None:
        super().__init__("crossover:index:Gateway", name)
        node = Node(
            name,
            key=name,
            role="gateway",
            candidates=[settings.gateway_node.model_dump(by_alias=True)],
            ports=PORTS,
            ssh_public_key=credentials.sshPublicKey,
            ssh_private_key=credentials.sshPrivateKey,
            deadline_s=settings.deadlines.rent_s,
            settings=settings.clouds,
            opts=pulumi.ResourceOptions(parent=self),
        )
        machines = pulumi.Output.all(**{key: node.machine for key, node in nodes.items()})
        bundle = pulumi.Output.all(machines, credentials.caCertificate).apply(
            lambda known: _bundle(settings, known[0], known[1], limits)
        )
        install = Install(
            f"{name}-router",
            machine=node.machine,
            role="gateway",
            fleet=name,
            server_name=name,
            bundle=bundle,
            secrets=_secrets(settings, credentials),
            ssh_private_key=credentials.sshPrivateKey,
            deadline_s=settings.deadlines.install_s,
            opts=pulumi.ResourceOptions(parent=self, deleted_with=node),
        )
        # What the router's own outputs say, so that an address is not shown before something answers there.
        self.endpoint = install.machine.apply(lambda m: _url(m, "endpoint"))
        self.prometheus = install.machine.apply(lambda m: _url(m, "prometheus"))
        self.alertmanager = install.machine.apply(lambda m: _url(m, "alertmanager"))
        self.register_outputs({"endpoint": self.endpoint})


def _url(machine: Mapping[str, Any], port: str) -> str:
    return f"http://{machine['address']}:{int(machine['ports'][port])}"


def _bundle(settings: Settings, machines: Mapping[str, Any], ca_certificate: str, limits: Limits) -> dict[str, Any]:
    peers = [
        Peer(key=key, address=machine["address"], port=int(machine["ports"]["vllm"]), server_name=server_name(key))
        for key, machine in sorted(machines.items())
        if machine["address"]  # one that has none yet is left out, and the rest serves
    ]
    monitoring = monitoring_bundle(settings.monitoring, limits, pulumi.get_stack(), peers)
    bundle: Bundle = gateway_bundle(
        settings.gateway, (settings.serving.served_name,), peers, ca_certificate, monitoring
    )
    return bundle.to_dict()


def _secrets(settings: Settings, credentials: Credentials) -> dict[str, pulumi.Input[str]]:
    stand_in = {model.api_key_secret: credentials.standInKey for model in settings.gateway.stood_in}
    given = {name: pulumi.Output.secret(value.get_secret_value()) for name, value in settings.api_keys.items()}
    return {
        "endpoint-keys": credentials.endpointKey.apply(lambda key: f"{key}\n"),
        "vllm-api-key": credentials.vllmApiKey,
        "litellm-master-key": credentials.litellmMasterKey,
        "redis.conf": credentials.redisPassword.apply(lambda password: f"requirepass {password}\n"),
        "redis-password": credentials.redisPassword,
        **stand_in,
        **given,  # none of the names above: settings refuse those
    }
