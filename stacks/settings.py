"""What a stack is told, parsed once. The sole reader of `pulumi.Config`; typos are refused before anything is made.

A stack serves models (`stacks/served.py`): one, whose keys stand at the top level beside those of the stack, or several
below `models`, which are judged and cannot be deployed yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pulumi
from pydantic import Field, SecretStr, model_validator

from cost_guard.scenario.fleet import LadderNode
from cost_guard.scenario.models import MODELS, by_model, prefix_of, shared_as_such
from cost_guard.scenario.proposal import STACK_PREFIX, Proposal, misspelt_namespace
from images.engines.common.base import Engine
from images.roles.gateway.settings import GatewayModel, GatewaySettings
from images.roles.monitoring.settings import MonitoringSettings
from images.sources import REPOSITORY
from providers import registry
from providers.base import Capability
from stacks import runtime
from stacks.arguments import GATEWAY_SECRETS, Deadlines, GatewayNode
from stacks.judged.listed import listed_resources
from stacks.judged.proposal import GATEWAY, proposal_of
from stacks.served import MODEL_KEYS, OWN_KEYS, ServedModel, served_model
from strict import problems
from strict.fields import SecretName, Section, named_secrets
from strict.problems import Problems, did_you_mean, unknown
from strict.yaml import configured

NOT_SET = "[not set]"
"""In place of a secret that is missing where none is needed."""

NOT_YET = (
    f"{STACK_PREFIX}{MODELS}: more than one model cannot be deployed yet, only judged (crossover plan, crossover "
    "preview); give each a stack of its own"
)


class SettingsError(Problems):
    """The configuration cannot be used: a line for each problem, with its key and a remedy."""

    def __str__(self) -> str:
        return "\n".join(("the stack's configuration cannot be used:", *(f"  {line}" for line in self.lines)))


class StackKeys(Section):
    """The keys of the whole stack, whatever it serves."""

    generations: dict[str, int] = Field(default_factory=dict)
    """Node key → generation, 1 if absent. Raising it is the only way to replace a node."""
    gateway: GatewaySettings = GatewaySettings()
    gateway_node: GatewayNode | None = None
    """Only with `gateway.placement: own`."""
    monitoring: MonitoringSettings = MonitoringSettings()
    deadlines: Deadlines = Deadlines()
    on_no_capacity: Literal["fail", "degrade"] = "fail"
    """Where no candidate of a node can be had: fail the `up`, or leave the node vacant and let the rest serve."""
    clouds: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Cloud → its own settings: docs/reference/clouds. Each cloud checks its section before anything is rented."""
    credentials_generation: int = Field(1, ge=1)
    """Raising it renews every key and certificate; those of before are accepted beside them until they are retired."""
    credentials_retired: int = Field(0, ge=0)
    """The generation up to which nothing is accepted any more."""
    api_keys: dict[SecretName, SecretStr] = Field(default_factory=dict)
    """Keys by the name that says where they are used: of managed APIs (`gateway.managed[].apiKeySecret`), of a webhook
    (`monitoring.webhook.bearerSecret`), of what opens the weights (`serving.weights`). Set them as secrets."""


class Settings(StackKeys):
    """Everything, in the words of the stack's configuration."""

    models: tuple[ServedModel, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _fits_together(self) -> Settings:
        self._check_keys()
        if strange := sorted(set(self.generations) - {*self.nodes, GATEWAY}):
            raise ValueError(f"generations: the fleet has no node {', '.join(strange)}")
        if low := sorted(key for key, generation in self.generations.items() if generation < 1):
            raise ValueError(f"generations: {', '.join(low)} must be 1 or more")
        if strange := sorted(set(self.clouds) - set(registry.NAMES)):
            raise ValueError(f"clouds: unknown cloud {', '.join(strange)}; known are {', '.join(registry.NAMES)}")
        if self.credentials_retired >= self.credentials_generation:
            raise ValueError(
                f"credentialsRetired: {self.credentials_retired} is in force; retire an older one than "
                f"credentialsGeneration, {self.credentials_generation}"
            )
        self._check_images()
        self._check_gateway_cloud()
        self._check_gateway_placement()
        self.gateway.check_served(self.served_names)
        self._check_queue()
        self._check_secrets()
        return self

    def _check_keys(self) -> None:
        """Raises ValueError where two models have a node of one key: it is a part of the machine's name."""
        keys = [key for model in self.models for key in model.fleet.nodes]
        if twice := sorted({key for key in keys if keys.count(key) > 1}):
            raise ValueError(
                f"models: two of them have a node {', '.join(twice)}; give each node of the stack its own key"
            )

    def _check_images(self) -> None:
        """Raises ValueError where two keys say what a cloud's containers are made of."""
        for model in self.models:
            rungs = {c.cloud for node in model.fleet.nodes.values() for c in node.candidates}
            twice = sorted(c for c in rungs if model.serving.image and runtime.IMAGE in self.clouds.get(c, {}))
            if twice:
                raise ValueError(f"clouds.{twice[0]}.image: serving.image says it too; take one of them away")

    def _check_gateway_cloud(self) -> None:
        """Raises ValueError where the gateway's machine is wanted of a cloud that there is not. Of a candidate the gate
        says it."""
        cloud = None if self.gateway_node is None else self.gateway_node.cloud
        if cloud is not None and cloud not in registry.NAMES:
            raise ValueError(f"gatewayNode.cloud: unknown cloud {cloud!r}; {did_you_mean(cloud, registry.NAMES)}")

    def _check_gateway_placement(self) -> None:
        """Raises ValueError where the gateway has no machine, or would take the key in clear over a network."""
        if (self.gateway.placement == "own") != (self.gateway_node is not None):
            raise ValueError(
                "gatewayNode: gateway.placement own needs it, {cloud, region, sku}; placement nodes must not have it"
            )
        rungs = [rung.cloud for node in self.nodes.values() for rung in node.candidates]
        clouds = sorted({*rungs} if self.gateway_node is None else {self.gateway_node.cloud})
        if container := [cloud for cloud in clouds if registry.can(cloud, Capability.CONTAINER)]:
            raise ValueError(
                f"gateway.placement: {', '.join(container)} rents containers, which cannot carry the gateway; choose "
                "placement own, with a gatewayNode at aws or existing"
            )
        if self.gateway_node is None and any(registry.can(cloud, Capability.DECLARED) for cloud in clouds):
            raise ValueError(
                "gateway.placement: nodes at aws admit the gateway and no clients; choose placement own, with a "
                "gatewayNode at aws"
            )
        here = all(registry.can(cloud, Capability.THIS_COMPUTER) for cloud in clouds)
        if self.gateway.tls_server_name is None and not here:
            raise ValueError(
                "gateway.tlsServerName: missing; away from this computer the endpoint needs TLS, or its key travels "
                "in clear. Name the host that clients will ask for, like llm.example.com"
            )

    def _check_queue(self) -> None:
        """Raises ValueError where the gateway would send a node more than it takes."""
        sent, taken = self.gateway.max_connections_per_node, min(m.serving.max_num_queued_reqs for m in self.models)
        if sent is not None and sent > taken:
            raise ValueError(
                f"gateway.maxConnectionsPerNode: {sent}, and a node answers 503 beyond serving.maxNumQueuedReqs, "
                f"{taken}; the nearest that fits is {taken}"
            )

    def _check_secrets(self) -> None:
        """Raises ValueError where a name of `api_keys` is taken, or one is missing."""
        if own := sorted(set(self.api_keys) & GATEWAY_SECRETS):
            raise ValueError(f"apiKeys: {', '.join(own)} is a secret of the gateway's own; take another name")
        for name, why in self.named_secrets.items():
            if name not in self.api_keys:
                raise ValueError(why)

    @property
    def named_secrets(self) -> Mapping[str, str]:
        """What must be in `api_keys`: each name with what is to be said where it is missing."""
        found: dict[str, str] = {}
        webhook, played = self.monitoring.webhook, {model.name for model in self.gateway.stood_in}
        if webhook is not None and webhook.bearer_secret:
            found[webhook.bearer_secret] = "monitoring.webhook.bearerSecret names"
        for served in self.models:
            source = served.serving.weights
            if source is not None and source.secret:
                key = "tokenSecret" if source.source == "hf" else "credentialsSecret"
                found.setdefault(source.secret, f"serving.weights.{key} names")
        for model in self.gateway.managed:
            if model.name not in played:
                found.setdefault(model.api_key_secret, f"the managed model {model.name} needs")
        how = f"pulumi config set --secret --path {STACK_PREFIX}apiKeys"
        return {name: f"apiKeys: {name} is missing, which {why}: {how}.{name}" for name, why in found.items()}

    @property
    def not_set(self) -> tuple[str, ...]:
        """Of the secrets for which `with_stand_ins` put something: what `up` would say."""
        given = {name: secret.get_secret_value() for name, secret in self.api_keys.items()}
        return tuple(why for name, why in self.named_secrets.items() if given[name] == NOT_SET)

    @property
    def proposals(self) -> dict[str, Proposal]:
        """What the gate judges, by the names of the served models."""
        return {model.name: model.proposal for model in self.models}

    @property
    def nodes(self) -> Mapping[str, LadderNode]:
        """Every node of every model, by its key."""
        return {key: node for model in self.models for key, node in model.fleet.nodes.items()}

    @property
    def served_names(self) -> tuple[str, ...]:
        """What clients ask for, of nodes of this stack, the name that series have first."""
        return tuple(name for model in self.models for name in model.serving.names)

    @property
    def gateway_keys(self) -> set[str]:
        """Names in `api_keys` of what the gateway's machine uses: what opens the weights is the nodes' alone."""
        played = {model.name for model in self.gateway.stood_in}
        managed = {model.api_key_secret for model in self.gateway.managed if model.name not in played}
        webhook = self.monitoring.webhook
        return managed | ({webhook.bearer_secret} if webhook is not None and webhook.bearer_secret else set())

    @property
    def engine(self) -> Engine:
        """By which gateway and monitoring ask every node."""
        return self.models[0].engine

    @property
    def max_per_failure_domain(self) -> int:
        """Where machines of several models are placed together: the strictest."""
        return min(model.fleet.max_per_failure_domain for model in self.models)


STACK_KEYS = tuple(field.alias or name for name, field in StackKeys.model_fields.items())


def from_pulumi() -> Settings:
    """The running stack's settings; a preview needs no secret. Raises SettingsError."""
    config = pulumi.Config(STACK_PREFIX.rstrip(":"))
    # Every key that there is, so that a misspelt one is seen and not passed over.
    given = list(pulumi.runtime.get_config_env())
    if strange := [line for key in given if (line := misspelt_namespace(key))]:
        raise SettingsError(strange)
    keys = [key.removeprefix(STACK_PREFIX) for key in given if key.startswith(STACK_PREFIX)]
    values = {key: configured(config.require(key)) for key in keys}
    settings = parse(with_stand_ins(values) if pulumi.runtime.is_dry_run() else values)
    if len(settings.models) > 1:
        raise SettingsError([NOT_YET])
    return settings


def with_stand_ins(values: Mapping[str, Any]) -> dict[str, Any]:
    """Configuration values by key with something, NOT_SET, for every secret that they name and do not have."""
    keys = values.get("apiKeys", {})
    if not isinstance(keys, Mapping):
        return dict(values)
    unnamed = GatewayModel.model_fields["api_key_secret"].default
    return {**values, "apiKeys": {**dict.fromkeys([unnamed, *named_secrets(values)], NOT_SET), **keys}}


def parse(values: Mapping[str, Any], root: Path = REPOSITORY) -> Settings:
    """Settings from configuration values by key, without their namespace. Raises SettingsError.

    Usage files that they name are read, relative to `root`.
    """
    known = sorted((*MODEL_KEYS, *STACK_KEYS, MODELS))
    lines = [f"{STACK_PREFIX}{key}: {unknown(key, known)}" for key in values if key not in known]
    keys = {key: value for key, value in values.items() if key in STACK_KEYS}
    try:
        keys["models"] = _models(values, root)
    except Problems as error:
        lines += error.lines
        whole: type[StackKeys] = StackKeys  # what is wrong there is said too
    else:
        whole = Settings
    try:
        settings = problems.parse(whole, keys, STACK_PREFIX, values=False)
    except Problems as error:
        lines += error.lines
    if lines:
        raise SettingsError(lines)
    assert isinstance(settings, Settings)
    return settings


def proposals_of(values: Mapping[str, Any], root: Path = REPOSITORY) -> dict[str, Proposal]:
    """What the gate judges, whatever the other keys say, by the names of the served models. Raises ScenarioError."""
    several, resources = MODELS in values, listed_resources(values)
    return {
        name: proposal_of(own, root, prefix_of(name, several, STACK_PREFIX), resources)
        for name, own in by_model(values, STACK_PREFIX, OWN_KEYS).items()
    }


def _models(values: Mapping[str, Any], root: Path) -> tuple[ServedModel, ...]:
    """Those below `models`, or the one whose keys stand at the top. Raises Problems, with the lines of all."""
    found, lines = [], list[str]()
    several, resources = MODELS in values, listed_resources(values)
    for name, own in by_model(values, STACK_PREFIX, OWN_KEYS).items():
        try:
            found.append(served_model(name, own, root, prefix_of(name, several, STACK_PREFIX), resources))
        except Problems as error:
            lines += shared_as_such(error.lines, name, STACK_PREFIX, OWN_KEYS) if several else error.lines
    if lines:
        raise Problems(dict.fromkeys(lines))
    return tuple(found)
