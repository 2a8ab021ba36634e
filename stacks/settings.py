"""What a stack is told, parsed once. The sole reader of `pulumi.Config`; typos are refused before anything is made.

The keys of the scenario (`workload`, `managed`, `fleet`, …) and `baseline` mean what they mean in `crossover plan`,
from the same models; the rest says how the fleet serves.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import date, datetime, tzinfo
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import pulumi
from pydantic import BaseModel, Field, SecretStr, ValidationError, model_validator

from cost_guard.errors import ScenarioError
from cost_guard.scenario.documents import read_usage
from cost_guard.scenario.fleet import LadderFleet
from cost_guard.scenario.proposal import Deployment, parse_deployment
from cost_guard.scenario.scenario import Baseline, Scenario
from cost_guard.scenario.usage import Usage
from images.roles.gateway.settings import RESERVED_SERVER, Frozen, GatewaySettings, ModelName, SecretName
from images.roles.monitoring.settings import MonitoringSettings
from providers import registry
from providers.base import Capability

NAMESPACE = "crossover:"
ROOT = Path(__file__).resolve().parents[1]
GATEWAY = "gateway"
"""The key of the gateway's own machine."""
GATEWAY_SECRETS = {
    "endpoint-keys",
    "endpoint.pem",
    "litellm-master-key",
    "redis-password",
    "redis.conf",
    "vllm-api-key",
}
"""Made by Credentials: no key of a user's may take their place."""
BASELINE = "baseline"
SCENARIO_KEYS = tuple(field.alias or name for name, field in Scenario.model_fields.items())


class SettingsError(Exception):
    """The configuration cannot be used. The message has one line per problem, each with its key and a remedy."""


class Serving(Frozen):
    """What the nodes serve, and how."""

    engine: Literal["vllm", "simulator"] = "vllm"
    model: ModelName
    """Hugging Face name of the weights."""
    served_name: ModelName
    """What clients ask for."""
    max_model_len: int = Field(32_768, ge=256, le=1_048_576)
    """Longest context, in tokens."""
    max_num_seqs: int = Field(128, ge=1, le=4096)
    """Requests that one node batches."""
    max_num_queued_reqs: int = Field(256, ge=1, le=100_000)
    """Requests in flight on one node, running ones included (as vLLM counts); beyond, it answers 503."""
    tensor_parallel_size: int = Field(8, ge=1, le=64)
    shutdown_timeout_s: int = Field(30, ge=0, le=600)
    """How long a node that is to stop may finish what it has begun."""


class GatewayNode(Frozen):
    """The machine that carries the gateway (placement `own`)."""

    cloud: str
    region: str
    sku: str


class Deadlines(Frozen):
    """How long a step may take before it counts as failed; the machine is kept, and the next `up` resumes."""

    rent_s: int = Field(1800, ge=5, le=7200)
    """From the launch to first contact."""
    install_s: int = Field(1800, ge=5, le=7200)
    """From first contact to a node that answers a completion."""


class Settings(Frozen):
    """Everything, in the words of the stack's configuration."""

    deployment: Deployment
    """What the gate judges: the scenario, the baseline, and the usage file that `workload.usage` names."""
    generations: dict[str, int] = Field(default_factory=dict)
    """Node key → generation, 1 if absent. Raising it is the only way to replace a node."""
    serving: Serving
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
    """Raising it renews every key and certificate."""
    api_keys: dict[SecretName, SecretStr] = Field(default_factory=dict)
    """Keys of managed APIs by the name that `gateway.managed[].apiKeySecret` gives them. Set them as secrets."""

    @model_validator(mode="after")
    def _fits_together(self) -> Settings:
        if not isinstance(self.scenario.fleet, LadderFleet):
            raise ValueError(  # noqa: TRY004 - pydantic reports ValueErrors
                "fleet: a stack needs `nodes` as a map of key to candidates; a count is for `plan` alone"
            )
        if unknown := sorted(set(self.generations) - {*self.scenario.fleet.nodes, GATEWAY}):
            raise ValueError(f"generations: the fleet has no node {', '.join(unknown)}")
        if unknown := sorted(set(self.clouds) - set(registry.NAMES)):
            raise ValueError(f"clouds: unknown cloud {', '.join(unknown)}; known are {', '.join(registry.NAMES)}")
        self._check_ladders(self.scenario.fleet)
        if low := sorted(key for key, generation in self.generations.items() if generation < 1):
            raise ValueError(f"generations: {', '.join(low)} must be 1 or more")
        self._check_gateway_placement(self.scenario.fleet)
        self.gateway.check_served((self.serving.served_name,))
        if self.serving.max_num_queued_reqs < self.serving.max_num_seqs:
            raise ValueError("serving.maxNumQueuedReqs counts running requests too: make it at least maxNumSeqs")
        if taken := sorted({RESERVED_SERVER, GATEWAY} & set(self.scenario.fleet.nodes)):
            raise ValueError(f"fleet.nodes: {taken[0]!r} is a name of the gateway's own; take another key")
        if own := sorted(set(self.api_keys) & GATEWAY_SECRETS):
            raise ValueError(f"apiKeys: {', '.join(own)} is a secret of the gateway's own; take another name")
        webhook = self.monitoring.webhook
        if webhook is not None and webhook.bearer_secret not in (None, *self.api_keys):
            raise ValueError(
                f"apiKeys: {webhook.bearer_secret} is missing, which monitoring.webhook.bearerSecret names"
            )
        played = {model.name for model in self.gateway.stood_in}
        for model in self.gateway.managed:
            if model.name not in played and model.api_key_secret not in self.api_keys:
                raise ValueError(
                    f"apiKeys: {model.api_key_secret} is missing, which the managed model {model.name} needs: "
                    f"pulumi config set --secret --path {NAMESPACE}apiKeys.{model.api_key_secret}"
                )
        return self

    def _check_gateway_placement(self, fleet: LadderFleet) -> None:
        """Raises ValueError where the gateway has no machine, or would take the key in clear over a network."""
        if (self.gateway.placement == "own") != (self.gateway_node is not None):
            raise ValueError(
                "gatewayNode: gateway.placement own needs it, {cloud, region, sku}; placement nodes must not have it"
            )
        hosts = [self.gateway_node] if self.gateway_node else fleet.candidates
        clouds = sorted({host.cloud for host in hosts} & set(registry.NAMES))
        if container := [name for name in clouds if Capability.CONTAINER in registry.capabilities(name)]:
            raise ValueError(
                f"gateway.placement: {', '.join(container)} rents containers, which cannot carry the gateway; choose "
                "placement own, with a gatewayNode at aws or existing"
            )
        if self.gateway_node is None and any(registry.can(name, Capability.DECLARED) for name in clouds):
            raise ValueError(
                "gateway.placement: nodes at aws admit the gateway and no clients; choose placement own, with a "
                "gatewayNode at aws"
            )
        here = all(registry.can(host.cloud, Capability.THIS_COMPUTER) for host in hosts)
        if self.gateway.tls_server_name is None and not here:
            raise ValueError(
                "gateway.tlsServerName: missing; away from this computer the endpoint needs TLS, or its key travels "
                "in clear. Name the host that clients will ask for, like llm.example.com"
            )

    def _check_ladders(self, fleet: LadderFleet) -> None:
        """Raises ValueError for what the plugin would refuse only once the engine runs."""
        for key, node in fleet.nodes.items():
            clouds = [candidate.cloud for candidate in node.candidates]
            if len(clouds) > 1 and any(registry.can(name, Capability.DECLARED) for name in clouds):
                raise ValueError(
                    f"fleet.nodes.{key}: a node at aws has one candidate, because pulumi_aws' errors cannot be caught; "
                    "take the others away, or give them a node of their own"
                )

    @property
    def scenario(self) -> Scenario:
        """With the numbers of the usage file, where it names one."""
        return self.deployment.scenario

    @property
    def baseline(self) -> Baseline | None:
        """What was approved and runs."""
        return self.deployment.baseline

    @property
    def usage(self) -> Usage | None:
        """The content of the usage file."""
        return self.deployment.usage

    @property
    def fleet(self) -> LadderFleet:
        """The scenario's fleet, whose form was checked."""
        assert isinstance(self.scenario.fleet, LadderFleet)
        return self.scenario.fleet

    @property
    def inputs(self) -> dict[str, Any]:
        """The scenario (baseline, usage) as plain values in the schema's own words: what the policy pack judges."""
        plain = self.scenario.to_inputs()
        for node in plain["fleet"]["nodes"].values():
            for candidate in node["candidates"]:
                # The gate reckons with prices, not ceilings; a changed ceiling is then one change, the node's.
                candidate.pop("maxUsdPerHour", None)
        if self.baseline is not None:
            plain["baseline"] = self.baseline.model_dump(mode="json", by_alias=True, exclude_none=True)
        if self.usage is not None:
            plain["usage"] = self.usage.to_inputs()
        return plain


def from_pulumi() -> Settings:
    """The running stack's settings. Raises SettingsError."""
    config = pulumi.Config(NAMESPACE.rstrip(":"))
    # Every key of the namespace, so that a misspelt one is seen and not passed over.
    keys = [key.removeprefix(NAMESPACE) for key in pulumi.runtime.get_config_env() if key.startswith(NAMESPACE)]
    return parse({key: _value(config.require(key)) for key in keys})


def today(zone: tzinfo | None = None) -> date:
    """The day that prices and volumes are judged on: CROSSOVER_TODAY (YYYY-MM-DD), or the real one, in this zone.

    Raises SettingsError.
    """
    given = os.environ.get("CROSSOVER_TODAY")
    try:
        return date.fromisoformat(given) if given else datetime.now(zone).date()
    except ValueError:
        raise SettingsError(f"CROSSOVER_TODAY is {given!r}, which is no date like 2026-11-22") from None


def parse(values: Mapping[str, Any], root: Path = ROOT) -> Settings:
    """Settings from configuration values by key, without their namespace. Raises SettingsError.

    A usage file that they name is read, relative to `root`.
    """
    own = [field.alias or name for name, field in Settings.model_fields.items() if name != "deployment"]
    known = (*SCENARIO_KEYS, BASELINE, *own)
    lines = [f"{NAMESPACE}{key}: {_unknown(key, known)}" for key in values if key not in known]
    given = {key: value for key, value in values.items() if key in own}
    try:
        given["deployment"] = deployment_of(values, root)
    except ScenarioError as e:
        lines += e.lines
    try:
        settings = Settings.model_validate(given)
    except ValidationError as e:
        # What is missing because it could not be parsed was said above.
        lines += [_line(error) for error in e.errors() if error["loc"] != ("deployment",)]
    else:
        if not lines:
            return settings
    raise SettingsError("the stack's configuration cannot be used:\n" + "\n".join(f"  {line}" for line in lines))


def deployment_of(values: Mapping[str, Any], root: Path) -> Deployment:
    """What the gate judges, of configuration values as `parse` takes them, whatever the others say. Raises
    ScenarioError."""
    scenario = {key: value for key, value in values.items() if key in SCENARIO_KEYS}
    return parse_deployment(scenario, values.get(BASELINE), read_usage(values, root, NAMESPACE), NAMESPACE)


def _value(text: str) -> Any:
    """Configuration arrives as text: structured values as JSON, others as they were typed."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _line(error: Any) -> str:
    path = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"{NAMESPACE}{path}: {_unknown(str(error['loc'][-1]), _keys_beside(error['loc']))}"
    if error["type"] == "missing":
        return f"{NAMESPACE}{path}: missing; it has no default, set it"
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{NAMESPACE}{path}: {message}" if path else f"{NAMESPACE}{message}"


def _unknown(key: str, known: tuple[str, ...]) -> str:
    near = get_close_matches(key, known, n=1)
    return f"unknown key (did you mean {near[0]}?)" if near else f"unknown key; known are {', '.join(sorted(known))}"


def _keys_beside(loc: tuple[int | str, ...]) -> tuple[str, ...]:
    """The keys that could stand where `loc` ends."""
    model: Any = Settings
    for part in loc[:-1]:
        if isinstance(part, int):
            continue
        field = next(f for name, f in model.model_fields.items() if part in (name, f.alias))
        model = next((t for t in _types(field.annotation) if issubclass(t, BaseModel)), None)
        if model is None:
            return ()
    return tuple(field.alias or name for name, field in model.model_fields.items())


def _types(annotation: Any) -> list[type]:
    """The classes that an annotation is made of: those of `tuple[X, ...] | None` are tuple's X and NoneType."""
    inner = [t for argument in getattr(annotation, "__args__", ()) for t in _types(argument)]
    return [annotation, *inner] if isinstance(annotation, type) and not inner else inner
