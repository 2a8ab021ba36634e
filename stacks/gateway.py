"""The gateway as resources: where it runs, and the bundle that needs the nodes' addresses but none of them ready."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pulumi

from images.bundle import Bundle
from images.roles.gateway.bundle import gateway_bundle
from images.roles.gateway.settings import GatewaySettings, Peer
from images.roles.monitoring.access import WEB_SECRET, monitoring_key, web_configuration
from providers.base import GATEWAY_SUFFIX
from providers.resources import Credentials, Install
from stacks.fleet import Fleet, server_name
from stacks.machines import Machines, Rented
from stacks.rotation.keys import Keys
from stacks.settings import Settings
from strict import names
from strict.names import GATEWAY_PORT, GATEWAY_ROLE, MONITORING_KEY


def certificate_names(settings: Settings) -> list[str]:
    """Every name that the stack needs a certificate for."""
    endpoint = [settings.gateway.tls_server_name] if settings.gateway.tls_server_name else []
    return [server_name(key) for key in settings.nodes] + endpoint


def sized(settings: Settings) -> GatewaySettings:
    """The gateway's settings, made to fit what the nodes of all models take at a time, and the longest of them."""
    serving = [model.serving for model in settings.models]
    return settings.gateway.sized(min(s.max_num_seqs for s in serving), max(s.max_model_len for s in serving))


class Gateway(pulumi.ComponentResource):
    """HAProxy, LiteLLM and Redis, on a machine of their own or on every node, and what goes `along` with them.

    `installs` are those of its machines.

    Outputs: `endpoint`, a URL; `addresses`, "host:port" of every gateway. Where the endpoint speaks TLS, its URL holds
    the certificate's name, and clients resolve that to the addresses.
    """

    endpoint: pulumi.Output[str]
    addresses: pulumi.Output[list[str]]

    def __init__(
        self,
        name: str,
        settings: Settings,
        credentials: Credentials,
        keys: Keys,
        machines: Machines,
        fleets: Sequence[Fleet],
        peers: pulumi.Output[Sequence[Peer]],
        along: pulumi.Output[Bundle],
    ) -> None:
        # For the pack: who answers when no node of that fleet can. The URN makes the engine see the Fleet first. Its
        # input names one: settings hold one served model today.
        # On the nodes themselves the gateway comes when they are done: two Installs at once are in each other's way.
        # But where the nodes wait for the gateways, it waits for nobody.
        beside = settings.gateway_node is not None or keys.ordered
        fleet = _alone(fleets[0].urn) if beside else fleets[0].urn
        answers = {"fleet": fleet, "fallback": settings.gateway.fallback}
        super().__init__(names.GATEWAY, name, answers)
        fitting = sized(settings)
        bundle = pulumi.Output.all(peers, keys.trusted, along).apply(
            lambda known: gateway_bundle(fitting, settings.served_names, settings.engine, *known).to_dict()
        )
        self.installs = [
            Install(
                f"{key}-router",
                machine=host.machine,
                role=GATEWAY_ROLE,
                fleet=name,
                server_name=key,
                bundle=bundle,
                secrets=_secrets(settings, credentials, keys),
                ssh_private_key=credentials.sshPrivateKey,
                stack_id=credentials.stack_id,
                deadline_s=settings.deadlines.install_s,
                opts=pulumi.ResourceOptions(parent=self, deleted_with=host.takes_along),
            )
            for key, host in self._hosts(name, settings, machines, fleets).items()
        ]
        # What the routers' own outputs say, so that an address is not shown before something answers there.
        self._routers = pulumi.Output.all(*(install.machine for install in self.installs)).apply(_reachable)
        self.addresses = self._routers.apply(lambda found: [_address(m, GATEWAY_PORT) for m in found])
        self.endpoint = self._routers.apply(lambda found: _endpoint(settings, found))
        self.register_outputs({"endpoint": self.endpoint})

    def inside(self, port: str) -> pulumi.Output[str]:
        """The URL of a service that listens on loopback, on the first gateway's machine itself (`crossover ssh` leads
        there); empty where there is none."""
        return self._routers.apply(lambda found: f"http://127.0.0.1:{int(found[0]['ports'][port])}" if found else "")

    def _hosts(
        self, name: str, settings: Settings, machines: Machines, fleets: Sequence[Fleet]
    ) -> Mapping[str, Rented]:
        """Everything that carries a gateway, as the gateway sees it, by key."""
        if settings.gateway_node is not None:
            return {name: machines.host(name, settings.gateway_node, self)}
        nodes = {key: node for fleet in fleets for key, node in fleet.nodes.items()}
        return {key: replace(node, machine=node.machine.apply(_beside_its_server)) for key, node in nodes.items()}


def _alone(urn: pulumi.Output[str]) -> pulumi.Output[str]:
    """That output without the resource it is of: Pulumi waits, for a component that a resource depends on, until all of
    its children are made, and the gateway needs the nodes' addresses but none of their Installs."""
    return pulumi.Output(set(), _value(urn), urn.is_known())


async def _value(of: pulumi.Output[str]) -> str:
    return await of.future(with_unknowns=True) or ""


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


def _secrets(settings: Settings, credentials: Credentials, keys: Keys) -> dict[str, pulumi.Input[str]]:
    stand_in = {model.api_key_secret: credentials.standInKey for model in settings.gateway.stood_in}
    asked = settings.gateway_keys
    given = {n: pulumi.Output.secret(v.get_secret_value()) for n, v in settings.api_keys.items() if n in asked}
    return {
        **keys.of_gateway(settings.gateway.tls_server_name),
        "litellm-master-key": credentials.litellmMasterKey,
        MONITORING_KEY: credentials.litellmMasterKey.apply(monitoring_key),
        WEB_SECRET: credentials.litellmMasterKey.apply(lambda key: web_configuration(monitoring_key(key))),
        "redis.conf": credentials.redisPassword.apply(lambda password: f"requirepass {password}\n"),
        "redis-password": credentials.redisPassword,
        **stand_in,
        **given,  # none of the names above: settings refuse those
    }
