"""Where a stack's machines come from: a Node of `gpucloud`, which climbs its ladder, or an instance at AWS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi

from cost_guard.catalogue.catalogue import load_catalogue
from cost_guard.scenario.fleet import LadderNode
from images.roles.inference.bundle import ports
from providers import registry
from providers.base import Candidate, Capability
from providers.preflight import Plan
from providers.resources import Credentials, Node
from stacks import runtime
from stacks.arguments import GatewayNode
from stacks.served import ServedModel
from stacks.settings import Settings
from strict.names import GATEWAY_ROLE, INFERENCE_ROLE

if TYPE_CHECKING:  # a tenth of a second, which only a preview with machines at AWS should pay
    from providers.clouds.aws.resources.survey import Survey

SSH = {"ssh": 22}


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
    nodes = {key: ladder[0] for key, node in settings.nodes.items() if _declared(ladder := _ladder(node))}
    host = [] if settings.gateway_node is None else [_host(settings.gateway_node)]
    gateway = host[0] if host and _declared(host) else None
    if not nodes and gateway is None:
        return None
    # Here, to start faster where nothing is wanted there.
    from providers.clouds.aws import NAME
    from providers.clouds.aws.preflight.tries import Tries
    from providers.clouds.aws.resources.survey import survey

    plan = Plan(
        pulumi.get_project(),
        pulumi.get_stack(),
        nodes if gateway is None else {**nodes, GATEWAY_ROLE: gateway},
        settings.clouds.get(NAME, {}),
        settings.max_per_failure_domain,
        settings.generations,
    )
    return survey(plan, Tries.of(plan.project, plan.stack))


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A machine to rent."""

    key: str
    role: str
    ladder: Sequence[Candidate]
    max_per_failure_domain: int
    image: str | None = None
    """`serving.image`."""


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
            INFERENCE_ROLE: {**SSH, **ports(settings.engine), **on_nodes},
            GATEWAY_ROLE: {**SSH, **gateway_ports},
        }
        self._network = None
        if found is not None:
            from providers.clouds.aws import NAME  # here, to start faster
            from providers.clouds.aws.resources.network import AwsNetwork

            self._network = AwsNetwork(
                NAME,
                found,
                node_ports=self._ports[INFERENCE_ROLE],
                gateway_ports=self._ports[GATEWAY_ROLE],
                ssh_public_key=credentials.sshPublicKey,
            )

    def node(self, model: ServedModel, key: str, parent: pulumi.Resource) -> Rented:
        """A node of that model's fleet."""
        ladder = _ladder(model.fleet.nodes[key])
        most, image = model.fleet.max_per_failure_domain, model.serving.image
        return self._rent(_Wanted(key, INFERENCE_ROLE, ladder, most, image), parent)

    def host(self, key: str, host: GatewayNode, parent: pulumi.Resource) -> Rented:
        """A machine that carries a gateway and nothing else."""
        most = self._settings.max_per_failure_domain
        return self._rent(_Wanted(key, GATEWAY_ROLE, [_host(host)], most), parent)

    def _rent(self, wanted: _Wanted, parent: pulumi.Resource) -> Rented:
        ladder = wanted.ladder
        # What costs money, or was claimed and may not be had again, is protected from deletion and replacement.
        protect = any(not registry.can(c.cloud, Capability.BILLS_NOTHING) for c in ladder)
        opts = pulumi.ResourceOptions(parent=parent, protect=protect)
        if _declared(ladder):
            return self._at_aws(wanted, opts)
        node = self._by_ladder(wanted, opts)
        owned = any(registry.can(candidate.cloud, Capability.OWNED) for candidate in ladder)
        return Rented(node.machine, None if owned else node)

    def _by_ladder(self, wanted: _Wanted, opts: pulumi.ResourceOptions) -> Node:
        settings = self._settings
        clouds = {candidate.cloud for candidate in wanted.ladder}
        return Node(
            wanted.key,
            key=wanted.key,
            role=wanted.role,
            candidates=[_rung(candidate) for candidate in wanted.ladder],
            generation=settings.generations.get(wanted.key, 1),
            ports=self._ports[wanted.role],
            ssh_public_key=self._credentials.sshPublicKey,
            ssh_private_key=self._credentials.sshPrivateKey,
            stack_id=self._credentials.stack_id,
            max_per_failure_domain=wanted.max_per_failure_domain,
            deadline_s=settings.deadlines.rent_s,
            on_no_capacity=settings.on_no_capacity,
            settings={
                cloud: section
                for cloud in sorted(clouds)
                if (section := self._section(cloud, wanted)) or cloud in settings.clouds
            },
            opts=opts,
        )

    def _section(self, cloud: str, wanted: _Wanted) -> Mapping[str, Any]:
        """The cloud's own settings, with what its containers are made of where that is ours to say."""
        section = self._settings.clouds.get(cloud, {})
        image = runtime.container_image(cloud, wanted.image, section)
        return section if image is None else {**section, runtime.IMAGE: image}

    def _at_aws(self, wanted: _Wanted, opts: pulumi.ResourceOptions) -> Rented:
        from providers.clouds.aws.resources.node import AwsNode  # here, to start faster

        assert self._network is not None
        [candidate] = wanted.ladder
        price = load_catalogue().prices.get(f"{candidate.cloud}/{candidate.sku}")
        node = AwsNode(
            wanted.key,
            self._network,
            key=wanted.key,
            role=wanted.role,
            candidate=candidate,
            ports=self._ports[wanted.role],
            usd_per_hour=None if price is None else price.usd_per_hour,
            ssh_private_key=self._credentials.sshPrivateKey,
            stack_id=self._credentials.stack_id,
            generation=self._settings.generations.get(wanted.key, 1),
            deadline_s=self._settings.deadlines.rent_s,
            opts=opts,
        )
        return Rented(node.machine, node.instance)


def _declared(ladder: Sequence[Candidate]) -> bool:
    """Whether the machine is a resource of the program's own; the settings let it have one rung."""
    return registry.can(ladder[0].cloud, Capability.DECLARED)


def _ladder(node: LadderNode) -> list[Candidate]:
    """A node's rungs, in the words of `providers`."""
    return [Candidate(c.cloud, c.region, c.sku, c.max_usd_per_hour, c.stands_for) for c in node.candidates]


def _host(host: GatewayNode) -> Candidate:
    return Candidate(host.cloud, host.region, host.sku)


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
