"""A served model: what the gate judges, and how its nodes serve it.

The keys of the scenario (`workload`, `managed`, `fleet`, …) and `baseline` mean what they mean in `crossover plan`,
from the same models.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, InstanceOf, field_validator, model_validator

from cost_guard.catalogue.models import Shape
from cost_guard.scenario.fleet import LadderFleet
from cost_guard.scenario.models import OWN
from cost_guard.scenario.proposal import BASELINE, STACK_PREFIX, Proposal
from cost_guard.scenario.sections.beside import BilledResource, ServedAs
from images.bundle import KNOWN_ANSWER, KNOWN_PROMPT, RuntimeKind, Source, Weights
from images.engines.common.base import GPUS, WEIGHTS, Engine
from images.engines.common.registry import DEFAULT, EngineName, engine
from images.gpu import matrix
from images.roles.gateway.settings import RESERVED_SERVER
from images.weights.settings import WeightsSettings, weights_of
from providers import registry
from providers.base import Capability
from stacks import runtime
from stacks.arguments import (
    ContextTokens,
    EngineArguments,
    Gpus,
    MemoryShare,
    Quantization,
    ReasoningParser,
    Repository,
    Requests,
    Revision,
    Sequences,
    ShutdownSeconds,
    ToolCallParser,
    Variables,
    check_arguments,
    model_shape,
    template_source,
)
from stacks.judged.proposal import GATEWAY, SCENARIO_KEYS, proposal_of
from strict.fields import ModelName, Section, Text, form
from strict.problems import Problems, about, parse

_IMAGE = "an image with an exact tag or a digest, such as org/name:v1.2 or org/name@sha256: and 64 hexadecimal digits"


class Acceptance(Section):
    """What a GPU node must do before it is accepted."""

    prompt: Text = KNOWN_PROMPT
    expect: str = KNOWN_ANSWER
    """In the answer; empty is any that a whole GPU may give."""
    load_s: int = Field(60, alias="loadS", ge=0, le=3600, strict=True)
    """Of its own load; 0 is none."""
    all_reduce_gb_per_s: float | None = Field(None, alias="allReduceGBPerS", ge=0, le=10_000, strict=True)
    """The least bus bandwidth of an all-reduce over its GPUs; absent: what is known of such GPUs, 0: not measured."""


class Serving(Section):
    """What the nodes serve, and how."""

    engine: EngineName = DEFAULT
    model: Repository
    """Hugging Face name of the weights."""
    revision: Revision | None = None
    """Of the weights: a commit, branch or tag."""
    weights: WeightsSettings | None = None
    """Where the nodes get them; None is the hub for an engine that reads them, else nowhere."""
    served_name: ModelName
    """What clients ask for."""
    runtime: RuntimeKind | None = None
    """How the engine's program gets onto a node. Left out, by what the node's clouds are: a container has its image, a
    machine of yours what you put there, any other machine gets an environment."""
    image: Annotated[str, form(r"[^\s@]+(@sha256:[0-9a-f]{64})?", _IMAGE)] | None = None
    """What containers are made of, with an exact tag, a digest or both; by default vLLM's own at the pinned version."""
    aliases: tuple[ModelName, ...] = ()
    """Further names of it; series and reports have the first one."""
    dtype: Literal["auto", "half", "float16", "bfloat16", "float", "float32"] | None = None
    quantization: Quantization | None = None
    """None is what the weights say themselves."""
    max_model_len: ContextTokens = 32_768
    """Longest context, in tokens."""
    max_num_seqs: Sequences = 128
    """Requests that one node batches."""
    max_num_queued_reqs: Requests = 256
    """Requests in flight on one node, running ones included (as vLLM counts); beyond, it answers 503."""
    tensor_parallel_size: Gpus = 8
    gpu_memory_utilization: MemoryShare | None = None
    """Share of each GPU's memory that vLLM takes; None is its default."""
    tool_call_parser: ToolCallParser | None = None
    """How tool calls are read from what the model writes. Without it, requests with tools are refused."""
    reasoning_parser: ReasoningParser | None = None
    """How the reasoning is told from the answer."""
    chat_template: Text | None = None
    """A Jinja file, by its path from the repository's root, in place of the one that the weights bring."""
    model_config_file: Text | None = Field(None, alias="modelConfig")
    """The model's config.json, by its path from the repository's root, where the table of models lacks it."""
    engine_args: EngineArguments = Field(default_factory=dict)
    """Further flags of vLLM's, without their dashes: docs/reference/serving.md."""
    environment: Variables = Field(default_factory=dict)
    """Further variables of the engine's process."""
    acceptance: Acceptance = Field(default_factory=Acceptance)
    shutdown_timeout_s: ShutdownSeconds = 30
    """How long a node that is to stop may finish what it has begun."""

    @field_validator("image")
    @classmethod
    def _exact(cls, image: str | None) -> str | None:
        if image is not None and "@" not in image and not runtime.tag(image):
            raise ValueError(f"must have an exact tag or a digest, as {matrix.image()} has, got {image!r}")
        return image

    @model_validator(mode="after")
    def _engine_takes_it(self) -> Serving:
        names = self.names
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise about("aliases", f"{', '.join(twice)} is a name of it already")
        check_arguments(self.engine_args, engine(self.engine), self.max_num_seqs)
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """All that clients may ask for; series and reports have the first one."""
        return (self.served_name, *self.aliases)


class ModelKeys(Section):
    """The keys of one served model which the gate does not judge."""

    serving: Serving


class ServedModel(ModelKeys):
    """One model on nodes of its own: what the gate judges, and how it serves."""

    name: str
    """Of its Fleet."""
    proposal: InstanceOf[Proposal]
    """The scenario, the baseline, and the usage file that `workload.usage` names."""
    chat_template: InstanceOf[Source] | None = None
    """The file that `serving.chatTemplate` names."""
    shape: InstanceOf[Shape] | None = None
    """What the file that `serving.modelConfig` names says of the model."""

    @model_validator(mode="after")
    def _fits_together(self) -> ServedModel:
        fleet = self.proposal.scenario.fleet
        if not isinstance(fleet, LadderFleet):
            raise ValueError(  # noqa: TRY004 - pydantic reports ValueErrors
                "fleet: a stack needs `nodes` as a map of key to candidates; a count is for `plan` alone"
            )
        if taken := sorted({RESERVED_SERVER, GATEWAY} & set(fleet.nodes)):
            raise ValueError(f"fleet.nodes: {taken[0]!r} is a name of the gateway's own; take another key")
        for key, node in fleet.nodes.items():
            # The plugin would refuse it only once the engine runs.
            clouds = [candidate.cloud for candidate in node.candidates]
            if len(clouds) > 1 and any(registry.can(cloud, Capability.DECLARED) for cloud in clouds):
                raise ValueError(
                    f"fleet.nodes.{key}: a node at aws has one candidate, because pulumi_aws' errors cannot be caught; "
                    "take the others away, or give them a node of their own"
                )
        try:
            runtime.check(self.serving.runtime, self.serving.image, self._clouds)
        except ValueError as e:
            raise ValueError(f"serving.{e}") from None
        if self.serving.max_num_queued_reqs < self.serving.max_num_seqs:
            raise ValueError("serving.maxNumQueuedReqs counts running requests too: make it at least maxNumSeqs")
        return self

    @property
    def engine(self) -> Engine:
        """What serves it."""
        return engine(self.serving.engine)

    @property
    def weights(self) -> Weights | None:
        """The files that its nodes serve; None where the engine reads none, and none are named."""
        return weights_of(self.serving, needed=WEIGHTS in self.engine.capabilities)

    @property
    def fleet(self) -> LadderFleet:
        """The scenario's fleet, whose form was checked."""
        assert isinstance(self.proposal.scenario.fleet, LadderFleet)
        return self.proposal.scenario.fleet

    @property
    def _clouds(self) -> list[str]:
        """All that its nodes may come from, each once."""
        rungs = (candidate for node in self.fleet.nodes.values() for candidate in node.candidates)
        return list(dict.fromkeys(candidate.cloud for candidate in rungs))

    @property
    def on_this_computer(self) -> bool:
        """Whether all of its nodes are: nobody looks for GPUs there, so that a vLLM for CPUs may serve."""
        return all(registry.can(cloud, Capability.THIS_COMPUTER) for cloud in self._clouds)

    def runtimes(self, key: str) -> Mapping[str, RuntimeKind]:
        """Cloud → how the engine's program gets onto the node of that key there. An engine without GPUs comes the same
        way everywhere."""
        wanted = self.serving.runtime if GPUS in self.engine.capabilities else "machine"
        return {c.cloud: runtime.runtime_at(c.cloud, wanted) for c in self.fleet.nodes[key].candidates}

    @property
    def inputs(self) -> dict[str, Any]:
        """The proposal as plain values in the schema's own words: what the policy pack judges."""
        return self.proposal.to_inputs()


MODEL_KEYS = (*SCENARIO_KEYS, BASELINE, *ModelKeys.model_fields)
OWN_KEYS = (*OWN, *ModelKeys.model_fields)
"""Those that each of several models has for itself; the others are the stack's."""
FILE_KEYS = ("chatTemplate", "modelConfig")
"""Those of `serving` that name a file of the repository."""


def served_model(
    name: str,
    values: Mapping[str, Any],
    root: Path,
    prefix: str = STACK_PREFIX,
    resources: tuple[BilledResource, ...] = (),
) -> ServedModel:
    """Of its keys among `values`, which are called by `prefix`; a usage file that they name is relative to `root`.
    `resources` are those of the whole stack. Raises Problems, with the lines of all."""
    keys = {key: value for key, value in values.items() if key in ModelKeys.model_fields}
    lines: list[str] = []
    files: dict[str, Source | Shape | None] = {}
    own = None
    try:
        own = parse(ModelKeys, keys, prefix)
    except Problems as error:
        lines += error.lines
    else:
        readers = (template_source, model_shape)
        paths = (own.serving.chat_template, own.serving.model_config_file)
        for key, read, path in zip(FILE_KEYS, readers, paths, strict=True):
            try:
                files[key] = read(path, root, f"{prefix}serving.{key}")
            except Problems as error:
                lines += error.lines
    try:
        proposal = proposal_of(values, root, prefix, resources)
    except Problems as error:
        lines = [*error.lines, *lines]
    if own is None or lines:
        raise Problems(lines)
    shape = files["modelConfig"]
    served = served_as(own.serving, shape if isinstance(shape, Shape) else None)
    given = {"name": name, "proposal": replace(proposal, served=served), "serving": own.serving}
    given |= {"chatTemplate": files["chatTemplate"], "shape": shape}
    return parse(ServedModel, given, prefix)


def served_as(serving: Serving, shape: Shape | None = None) -> ServedAs:
    """What of it decides whether the model fits a machine's GPUs; `shape` is that of its own config.json."""
    full = serving.dtype in ("float", "float32")
    cache = str(serving.engine_args.get("kv-cache-dtype", "auto"))
    return ServedAs(
        tensor_parallel_size=serving.tensor_parallel_size,
        max_model_len=serving.max_model_len,
        quantization=serving.quantization,
        weight_type_bytes=4 if full else 2,
        kv_type_bytes=1 if cache.startswith("fp8") else 4 if full and cache == "auto" else 2,
        shape=None if shape is None else {k: v for k, v in asdict(shape).items() if v is not None},
    )
