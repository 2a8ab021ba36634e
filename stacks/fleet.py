"""The fleet: nodes by key in separate failure domains, each with the inference bundle on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import pulumi

from cost_guard.catalogue.models import load_models
from images.bundle import RuntimeKind
from images.engines.common.base import (
    API_KEY_SECRET,
    CERTIFICATE_SECRET,
    CLIENT_CERTIFICATE_SECRET,
    GPUS,
    PRIVATE_KEY_SECRET,
    SERVICE,
    EngineOptions,
)
from images.roles.gateway.settings import Peer
from images.roles.inference.bundle import TrialOptions, inference_bundle
from images.weights import settings as weights
from providers.resources import Credentials, Install
from stacks import planning, runtime
from stacks.machines import Machines, Rented
from stacks.served import ServedModel
from stacks.settings import Settings, SettingsError
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

    def __init__(self, model: ServedModel, settings: Settings, credentials: Credentials, machines: Machines) -> None:
        super().__init__(names.FLEET, model.name, model.inputs)
        bundles = _Bundles(model, credentials.caCertificate)
        self.nodes = {key: machines.node(model, key, self) for key in model.fleet.nodes}
        _tell(model, settings, self)
        for key, node in self.nodes.items():
            Install(
                f"{key}-inference",
                machine=node.machine,
                role=INFERENCE_ROLE,
                fleet=model.name,
                server_name=server_name(key),
                bundle=bundles.of(key, node),
                secrets=_secrets(model, key, settings, credentials),
                ssh_private_key=credentials.sshPrivateKey,
                deadline_s=settings.deadlines.install_s,
                # A machine that goes takes along what is on it: what cannot be tidied up must not keep it billing.
                opts=pulumi.ResourceOptions(parent=self, deleted_with=node.takes_along),
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


def check_memory(settings: Settings) -> None:
    """Says how what is served fits the machines' GPUs. Raises RunError where vLLM would not start."""
    fits = [planning.fit(model) for model in settings.models]
    for note in (note for one in fits for note in one.notes):
        pulumi.log.info(note)
    if refusals := [line for one in fits for line in one.refusals]:
        raise pulumi.RunError(str(SettingsError(refusals)))


def check_weights(settings: Settings) -> None:
    """Says what should be known of the weights before anything is rented. Raises RunError in an `up` that would install
    files of which nothing is known; a preview says so."""
    for model in settings.models:
        if (wanted := model.weights) is None:
            continue
        source, known = model.serving.weights, load_models().get(model.serving.model)
        for line in weights.remarks(
            wanted, None if source is None else source.secret, gated=known is not None and known.gated
        ):
            pulumi.log.warn(line)
        if why := weights.refusal(wanted):
            if not pulumi.runtime.is_dry_run():
                raise pulumi.RunError(why)
            pulumi.log.warn(f"`up` will refuse: {why}")


class _Bundles:
    """What is installed on the nodes of one model, rendered once for each way in which its engine gets there."""

    def __init__(self, model: ServedModel, ca_certificate: pulumi.Output[str]) -> None:
        self._runtimes = {key: model.runtimes(key) for key in model.fleet.nodes}
        kinds = sorted({kind for runtimes in self._runtimes.values() for kind in runtimes.values()})
        self._rendered = {kind: ca_certificate.apply(partial(_bundle, model, kind)) for kind in kinds}

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


def _tell(model: ServedModel, settings: Settings, fleet: pulumi.Resource) -> None:
    """Says what will be on each node. Raises NotAllowed."""
    if GPUS not in model.engine.capabilities:
        return
    for key in model.fleet.nodes:
        runtimes = model.runtimes(key)
        sections = {cloud: settings.clouds.get(cloud, {}) for cloud in runtimes}
        images = {c: s.get(runtime.IMAGE) or model.serving.image or "" for c, s in sections.items()}
        for line in runtime.told(key, runtimes, images):
            pulumi.log.info(line, fleet)


def _bundle(model: ServedModel, kind: RuntimeKind, ca_certificate: str) -> dict[str, Any]:
    serving = model.serving
    return inference_bundle(
        model.engine,
        EngineOptions(
            model=serving.model,
            served_names=serving.names,
            max_model_len=serving.max_model_len,
            max_num_seqs=serving.max_num_seqs,
            max_num_queued_reqs=serving.max_num_queued_reqs,
            tensor_parallel_size=serving.tensor_parallel_size,
            shutdown_timeout_s=serving.shutdown_timeout_s,
            revision=serving.revision,
            dtype=serving.dtype,
            quantization=serving.quantization,
            tool_call_parser=serving.tool_call_parser,
            reasoning_parser=serving.reasoning_parser,
            chat_template=model.chat_template,
            gpu_memory_utilization=serving.gpu_memory_utilization,
            arguments=serving.engine_args,
            environment=serving.environment,
        ),
        ca_certificate,
        kind,
        weights=model.weights,
        gpus=not model.on_this_computer,
        trial=TrialOptions(**dict(serving.acceptance)),
        promised=planning.promised(model, kind),
    ).to_dict()


def _secrets(
    model: ServedModel, key: str, settings: Settings, credentials: Credentials
) -> dict[str, pulumi.Input[str]]:
    pair = credentials.nodeCertificates.apply(lambda certificates: certificates[server_name(key)])
    source = model.serving.weights
    opens = None if source is None or source.secret is None else settings.api_keys[source.secret]
    return {
        **({} if opens is None else {weights.SECRET: pulumi.Output.secret(opens.get_secret_value())}),
        API_KEY_SECRET: credentials.vllmApiKey,
        CERTIFICATE_SECRET: pair.apply(lambda p: p["certificate"]),
        PRIVATE_KEY_SECRET: pair.apply(lambda p: p["privateKey"]),
        # For its own checks. That one node could reach another by it is no new door: all of them hold the same key.
        CLIENT_CERTIFICATE_SECRET: credentials.clientCertificate,
    }
