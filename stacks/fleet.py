"""The fleet: nodes by key in separate failure domains, each with the inference bundle on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from functools import partial
from typing import Any

import pulumi

from images.bundle import RuntimeKind
from images.engines.common.base import SERVICE, EngineOptions
from images.roles.gateway.settings import Peer
from images.roles.inference.bundle import TrialOptions, inference_bundle
from images.weights import settings as weights
from providers.resources import Credentials, Install
from stacks import planning
from stacks.checks import tell_nodes
from stacks.machines import Machines, Rented
from stacks.rotation.keys import Keys
from stacks.served import ServedModel, Serving
from stacks.settings import Settings
from strict import names
from strict.names import INFERENCE_ROLE


def server_name(key: str) -> str:
    """The name in a node's certificate: a name and not an address, so that it outlives the machine."""
    return f"{key}.nodes.crossover.internal"


class Fleet(pulumi.ComponentResource):
    """One served model: a machine and an Install per key. Its inputs are the whole proposal, in plain values, for the
    pack to judge.

    `nodes` maps a key to its machine: who routes needs their addresses and nothing else.
    """

    nodes: Mapping[str, Rented]

    def __init__(
        self,
        model: ServedModel,
        settings: Settings,
        credentials: Credentials,
        keys: Keys,
        machines: Machines,
        gateways: pulumi.Output[list[Install]],
    ) -> None:
        """`gateways` are the gateways' Installs, for which the nodes' wait where keys may change."""
        super().__init__(names.FLEET, model.name, model.inputs)
        bundles = _Bundles(model, keys)
        self.nodes = {key: machines.node(model, key, self) for key in model.fleet.nodes}
        tell_nodes(model, settings, self)
        for key, node in self.nodes.items():
            Install(
                f"{key}-inference",
                machine=node.machine,
                role=INFERENCE_ROLE,
                fleet=model.name,
                server_name=server_name(key),
                bundle=bundles.of(key, node),
                secrets=_secrets(model, key, settings, keys),
                ssh_private_key=credentials.sshPrivateKey,
                stack_id=credentials.stack_id,
                deadline_s=settings.deadlines.install_s,
                # A machine that goes takes along what is on it: what cannot be tidied up must not keep it billing.
                opts=pulumi.ResourceOptions(
                    parent=self, deleted_with=node.takes_along, depends_on=gateways if keys.ordered else None
                ),
            )
        self.register_outputs({})


def peers(fleets: Iterable[Fleet]) -> pulumi.Output[Sequence[Peer]]:
    """The nodes as others reach them, by key. One that has no address yet is left out, and the rest serves."""
    machines = pulumi.Output.all(**{key: node.machine for fleet in fleets for key, node in fleet.nodes.items()})
    return machines.apply(
        lambda known: [
            Peer(
                key=key,
                address=machine["address"],
                port=int(machine["ports"][SERVICE]),
                server_name=server_name(key),
            )
            for key, machine in sorted(known.items())
            if machine["address"]
        ]
    )


class _Bundles:
    """What is installed on the nodes of one model, rendered once for each way in which its engine gets there."""

    def __init__(self, model: ServedModel, keys: Keys) -> None:
        self._runtimes = {key: model.runtimes(key) for key in model.fleet.nodes}
        kinds = sorted({kind for runtimes in self._runtimes.values() for kind in runtimes.values()})
        self._rendered = {kind: keys.trusted.apply(partial(_bundle, model, kind, keys.overlap)) for kind in kinds}

    def of(self, key: str, node: Rented) -> pulumi.Output[dict[str, Any]]:
        """That of a node. Where its rungs need different ones, it is the rented machine that tells, by its id."""
        runtimes = self._runtimes[key]
        kinds = list(dict.fromkeys(runtimes.values()))
        if len(kinds) == 1:
            return self._rendered[kinds[0]]
        bundles = pulumi.Output.all(**{kind: self._rendered[kind] for kind in kinds})

        def pick(known: list[Any]) -> dict[str, Any]:
            machine, rendered = known
            # A vacant node has none of these clouds in its id, and nothing is installed on it.
            kind = runtimes.get(machine["id"].split("/")[0], kinds[0])
            bundle: dict[str, Any] = rendered[kind]
            return bundle

        return pulumi.Output.all(node.machine, bundles).apply(pick)


def _bundle(model: ServedModel, kind: RuntimeKind, overlap: bool, trusted: str) -> dict[str, Any]:
    return inference_bundle(
        model.engine,
        _options(model),
        trusted,
        kind,
        weights=model.weights,
        gpus=not model.on_this_computer,
        trial=TrialOptions(**dict(model.serving.acceptance)),
        promised=planning.promised(model, kind),
        takes_former_key=overlap,
    ).to_dict()


def _options(model: ServedModel) -> EngineOptions:
    """What `serving` says, by the names that both have; and what is called otherwise there, or is no plain value."""
    serving = model.serving
    alike = {f.name: getattr(serving, f.name) for f in fields(EngineOptions) if f.name in Serving.model_fields}
    others = {"served_names": serving.names, "arguments": serving.engine_args, "chat_template": model.chat_template}
    return EngineOptions(**{**alike, **others})


def _secrets(model: ServedModel, key: str, settings: Settings, keys: Keys) -> dict[str, pulumi.Input[str]]:
    source = model.serving.weights
    opens = None if source is None or source.secret is None else settings.api_keys[source.secret]
    return {
        **({} if opens is None else {weights.SECRET: pulumi.Output.secret(opens.get_secret_value())}),
        **keys.of_node(server_name(key)),
    }
