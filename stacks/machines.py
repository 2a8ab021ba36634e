"""Where a stack's machines come from: a Node of `gpucloud`, which climbs its ladder, or an instance at AWS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi

from cost_guard.catalogue.catalogue import load_catalogue
from providers import registry
from providers.base import GATEWAY_ROLE, INFERENCE_ROLE, Candidate, Capability
from providers.clouds import aws
from providers.errors import InvalidRequest
from providers.resources import Credentials, Node
from stacks.settings import GATEWAY, Settings

if TYPE_CHECKING:  # a tenth of a second, which only a preview with machines at AWS should pay
    from providers.clouds.aws.resources.survey import Survey

NODE_PORTS = {"ssh": 22, "vllm": 8000}
"""Those of a node that only serves."""


@dataclass(frozen=True, slots=True)
class Rented:
    """A machine of the stack."""

    machine: pulumi.Output[dict[str, Any]]
    """What an Install needs to know of it."""
    takes_along: pulumi.Resource | None
    """What an Install's `deleted_with` names; None where the machine outlives the stack and must be tidied up."""


def surveyed(settings: Settings) -> Survey | None:
    """What AWS says of the machines wanted there; None where none is. Before any resource is registered, so that a
    quota, a region or a zone that does not fit creates nothing. Raises pulumi.RunError."""
    ladders = {key: _candidates(settings, key) for key in settings.fleet.nodes}
    nodes = {key: ladder[0] for key, ladder in ladders.items() if registry.can(ladder[0].cloud, Capability.DECLARED)}
    host = None if settings.gateway_node is None else _candidates(settings, GATEWAY)[0]
    gateway = host if host is not None and registry.can(host.cloud, Capability.DECLARED) else None
    if not nodes and gateway is None:
        return None
    from providers.clouds.aws.config import parse
    from providers.clouds.aws.resources.survey import Demand, survey

    demand = Demand(nodes, gateway, settings.fleet.max_per_failure_domain)
    try:
        regions = [candidate.region for candidate in demand.candidates.values()]
        return survey(parse(settings.clouds.get(aws.NAME, {}), regions), demand)
    except InvalidRequest as e:
        raise pulumi.RunError(f"crossover:clouds.aws: {e}") from None


class Machines:
    """Rents every machine of one stack. `found` is what `surveyed` said; `gateway_ports` are those of whatever carries
    a gateway."""

    def __init__(
        self, settings: Settings, credentials: Credentials, found: Survey | None, gateway_ports: Mapping[str, int]
    ) -> None:
        on_nodes = gateway_ports if settings.gateway_node is None else {}
        self._settings = settings
        self._credentials = credentials
        self._ports = {
            INFERENCE_ROLE: {**NODE_PORTS, **on_nodes},
            GATEWAY_ROLE: {"ssh": NODE_PORTS["ssh"], **gateway_ports},
        }
        self._network = None
        if found is not None:
            from providers.clouds.aws.resources.network import AwsNetwork

            self._network = AwsNetwork(
                aws.NAME,
                found,
                node_ports=self._ports[INFERENCE_ROLE],
                gateway_ports=self._ports[GATEWAY_ROLE],
                ssh_public_key=credentials.sshPublicKey,
            )

    def rent(self, key: str, parent: pulumi.Resource) -> Rented:
        """The machine of a node of the fleet, or of the gateway's own, by its key."""
        ladder = _candidates(self._settings, key)
        role = GATEWAY_ROLE if key == GATEWAY else INFERENCE_ROLE
        # What costs money, or was claimed and may not be had again, is protected from deletion and replacement.
        protect = any(Capability.BILLS_NOTHING not in registry.capabilities(c.cloud) for c in ladder)
        opts = pulumi.ResourceOptions(parent=parent, protect=protect)
        if registry.can(ladder[0].cloud, Capability.DECLARED):
            return self._at_aws(key, role, ladder[0], opts)
        node = self._by_ladder(key, role, ladder, opts)
        owned = any(Capability.OWNED in registry.capabilities(candidate.cloud) for candidate in ladder)
        return Rented(node.machine, None if owned else node)

    def _by_ladder(self, key: str, role: str, ladder: Sequence[Candidate], opts: pulumi.ResourceOptions) -> Node:
        settings = self._settings
        clouds = {candidate.cloud for candidate in ladder}
        return Node(
            key,
            key=key,
            role=role,
            candidates=[_rung(candidate) for candidate in ladder],
            generation=settings.generations.get(key, 1),
            ports=self._ports[role],
            ssh_public_key=self._credentials.sshPublicKey,
            ssh_private_key=self._credentials.sshPrivateKey,
            max_per_failure_domain=settings.fleet.max_per_failure_domain,
            deadline_s=settings.deadlines.rent_s,
            on_no_capacity=settings.on_no_capacity,
            settings={cloud: section for cloud, section in settings.clouds.items() if cloud in clouds},
            opts=opts,
        )

    def _at_aws(self, key: str, role: str, candidate: Candidate, opts: pulumi.ResourceOptions) -> Rented:
        from providers.clouds.aws.resources.node import AwsNode

        assert self._network is not None
        price = load_catalogue().prices.get(f"{candidate.cloud}/{candidate.sku}")
        node = AwsNode(
            key,
            self._network,
            key=key,
            role=role,
            candidate=candidate,
            ports=self._ports[role],
            usd_per_hour=None if price is None else price.usd_per_hour,
            ssh_private_key=self._credentials.sshPrivateKey,
            generation=self._settings.generations.get(key, 1),
            deadline_s=self._settings.deadlines.rent_s,
            opts=opts,
        )
        return Rented(node.machine, node.instance)


def _candidates(settings: Settings, key: str) -> list[Candidate]:
    """The ladder of that key, in the words of `providers`."""
    if key == GATEWAY:
        host = settings.gateway_node
        assert host is not None
        return [Candidate(host.cloud, host.region, host.sku)]
    return [
        Candidate(c.cloud, c.region, c.sku, c.max_usd_per_hour, c.stands_for)
        for c in settings.fleet.nodes[key].candidates
    ]


def _rung(candidate: Candidate) -> dict[str, Any]:
    """A candidate as the input of a Node; money travels as a decimal string."""
    ceiling = candidate.max_usd_per_hour
    return {
        "cloud": candidate.cloud,
        "region": candidate.region,
        "sku": candidate.sku,
        **({} if ceiling is None else {"maxUsdPerHour": str(ceiling)}),
        **({} if candidate.stands_for is None else {"standsFor": candidate.stands_for}),
    }
