"""The gateway as resources: where it runs, and the bundle that needs the nodes' addresses but none of them ready."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pulumi

from images.bundle import Bundle
from images.roles.gateway.bundle import PORTS as GATEWAY_PORTS
from images.roles.gateway.bundle import gateway_bundle
from images.roles.gateway.haproxy import CERTIFICATE
from images.roles.gateway.settings import Peer
from images.roles.monitoring.bundle import PORTS as MONITORING_PORTS
from images.roles.monitoring.bundle import monitoring_bundle
from images.roles.monitoring.settings import Limits
from providers.base import GATEWAY_SUFFIX
from providers.resources import Credentials, Install
from stacks.fleet import Fleet, server_name
from stacks.machines import Machines, Rented
from stacks.settings import GATEWAY, Settings
from strict import names
from strict.names import GATEWAY_PORT, GATEWAY_ROLE

HOST_PORTS = {**GATEWAY_PORTS, **MONITORING_PORTS}
"""Port names of whatever carries a gateway, and with it the monitoring."""


def certificate_names(settings: Settings) -> list[str]:
    """Every name that the stack needs a certificate for."""
    endpoint = [settings.gateway.tls_server_name] if settings.gateway.tls_server_name else []
    return [server_name(key) for key in settings.fleet.nodes] + endpoint


class Gateway(pulumi.ComponentResource):
    """HAProxy, LiteLLM, Redis, Prometheus and Alertmanager, on a machine of their own or on every node.

    Outputs: `endpoint`, a URL; `addresses`, "host:port" of every gateway; `prometheus` and `alertmanager`, URLs on the
    first gateway's machine itself, where they listen on loopback (`crossover ssh` leads there). Where the endpoint
    speaks TLS, its URL holds the certificate's name, and clients resolve that to the addresses.
    """

    endpoint: pulumi.Output[str]
    addresses: pulumi.Output[list[str]]
    prometheus: pulumi.Output[str]
    alertmanager: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        settings: Settings,
        credentials: Credentials,
        machines: Machines,
        fleet: Fleet,
        limits: Limits,
    ) -> None:
        nodes = fleet.nodes
        # For the pack: who answers when no node of that fleet can. The URN makes the engine see the Fleet first.
        answers = {"fleet": fleet.urn, "fallback": settings.gateway.fallback}
        super().__init__(names.GATEWAY, name, answers)
        peers = pulumi.Output.all(**{key: node.machine for key, node in nodes.items()})
        bundle = pulumi.Output.all(peers, credentials.caCertificate).apply(
            lambda known: _bundle(settings, known[0], known[1], limits)
        )
        installs = [
            Install(
                f"{key}-router",
                machine=host.machine,
                role=GATEWAY_ROLE,
                fleet=name,
                server_name=key,
                bundle=bundle,
                secrets=_secrets(settings, credentials),
                ssh_private_key=credentials.sshPrivateKey,
                deadline_s=settings.deadlines.install_s,
                opts=pulumi.ResourceOptions(parent=self, deleted_with=host.takes_along),
            )
            for key, host in self._hosts(settings, machines, nodes).items()
        ]
        # What the routers' own outputs say, so that an address is not shown before something answers there.
        routers = pulumi.Output.all(*(install.machine for install in installs)).apply(_reachable)
        self.addresses = routers.apply(lambda found: [_address(m, GATEWAY_PORT) for m in found])
        self.endpoint = routers.apply(lambda found: _endpoint(settings, found))
        self.prometheus = routers.apply(lambda found: _inside(found, "prometheus"))
        self.alertmanager = routers.apply(lambda found: _inside(found, "alertmanager"))
        self.register_outputs({"endpoint": self.endpoint})

    def _hosts(self, settings: Settings, machines: Machines, nodes: Mapping[str, Rented]) -> Mapping[str, Rented]:
        """Everything that carries a gateway, as the gateway sees it, by key."""
        if settings.gateway_node is not None:
            return {GATEWAY: machines.rent(GATEWAY, self)}
        return {key: replace(node, machine=node.machine.apply(_beside_its_server)) for key, node in nodes.items()}


def _beside_its_server(machine: Mapping[str, Any]) -> dict[str, Any]:
    """Two bundles on one machine have a root each."""
    return {**machine, "root": f"{machine['root']}{GATEWAY_SUFFIX}"}


def _reachable(machines: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those that exist: a vacant node has no address."""
    return [machine for machine in machines if machine["address"]]


def _address(machine: Mapping[str, Any], port: str) -> str:
    host = machine["address"]
    return f"{f'[{host}]' if ':' in host else host}:{int(machine['ports'][port])}"


def _endpoint(settings: Settings, machines: Sequence[Mapping[str, Any]]) -> str:
    name = settings.gateway.tls_server_name
    if not machines:
        return ""
    if name is None:
        return f"http://{_address(machines[0], GATEWAY_PORT)}"
    return f"https://{name}:{int(machines[0]['ports'][GATEWAY_PORT])}"


def _inside(machines: Sequence[Mapping[str, Any]], port: str) -> str:
    """The URL on the first machine itself; empty where there is none."""
    return f"http://127.0.0.1:{int(machines[0]['ports'][port])}" if machines else ""


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
    name = settings.gateway.tls_server_name
    tls = {} if name is None else {CERTIFICATE: credentials.nodeCertificates.apply(lambda made: _pem(made[name]))}
    given = {name: pulumi.Output.secret(value.get_secret_value()) for name, value in settings.api_keys.items()}
    return {
        "endpoint-keys": credentials.endpointKey.apply(lambda key: f"{key}\n"),
        "vllm-api-key": credentials.vllmApiKey,
        "litellm-master-key": credentials.litellmMasterKey,
        "redis.conf": credentials.redisPassword.apply(lambda password: f"requirepass {password}\n"),
        "redis-password": credentials.redisPassword,
        **tls,
        **stand_in,
        **given,  # none of the names above: settings refuse those
    }


def _pem(pair: Mapping[str, str]) -> str:
    """Certificate and key in one file, as HAProxy reads them."""
    return f"{pair['certificate']}{pair['privateKey']}"
