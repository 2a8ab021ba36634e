"""What the SDK's server of a pack lacks: it asks a rule about the types that the rule looks at and no others, unpacks
what rules read of a resource and nothing twice, and tells self-check the levels that it was given.

The SDK turns all properties of a resource into proxies once for each rule: 0.4 ms for an Install, which at 200 nodes is
more than a second. And a rule that is disabled is not asked, so that it cannot say so. `PolicyPack` would also answer
every user of this computer, so `serve` takes its place. What both are made of is private to their module;
pulumi-policy is pinned, and an upgrade without those names fails here, before anything is judged.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Thread
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict
from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyResource,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
    policy,
)
from pulumi_policy.deserialize import deserialize_properties
from pulumi_policy.proxy import UnknownValueError, unknown_checking_proxy

from cost_guard.pack import registry
from cost_guard.pack.policies import CONFIG
from cost_guard.pack.resources import self_check
from cost_guard.pack.rule import NoConfig, looks_at
from cost_guard.pack.standing import program
from strict import names
from strict.engine.alive import wait_until_gone
from strict.engine.callers import LOOPBACK, ThreadGuard
from strict.problems import Problems, nearest, parse

_Base: Any = policy._PolicyAnalyzerServicer
proto: Any = policy.proto  # type: ignore[attr-defined]
VERSION = "0.0.1"
"""What the SDK says: the version that counts is in PulumiPolicy.yaml."""
THREADS = 4
"""As many as the SDK has."""
DESCRIPTIONS = 7
"""What a pack may say of itself beside its rules, from its configuration to its repository: ours says nothing."""


Shown = tuple[str, Mapping[str, Any], str, str, Any, Any]
"""A resource's type, properties, URN, name, options, provider: the SDK's classes of what a rule is shown begin so."""


class Props(Mapping[str, Any]):
    """A resource's properties as the SDK shows them, where it would unpack all: each is unpacked when a rule reads it.
    Raises UnknownValueError for what only `up` knows."""

    def __init__(self, message: Any) -> None:
        self._fields = message.fields
        self._read: dict[str, Mapping[str, Any]] = {}

    def __getitem__(self, key: str) -> Any:
        if key not in self._fields:  # the message would make one
            raise KeyError(key)
        if key not in self._read:
            given = {key: MessageToDict(self._fields[key])}
            self._read[key] = unknown_checking_proxy(deserialize_properties(given))
        return self._read[key][key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)


class Servicer(_Base):  # type: ignore[misc]
    """The engine's counterpart: a resource goes to the rules that look at its type, and to no others."""

    def __init__(self, name: str, version: str, policies: list[Policy], *rest: Any) -> None:
        super().__init__(name, version, policies, *rest)
        self._pack = name, version
        self._policies = policies
        self._by_type: dict[str, list[Policy]] = {}
        self._levels: dict[str, EnforcementLevel] = {}

    def _get_enforcement_level(self, rule: Policy) -> EnforcementLevel:
        level: EnforcementLevel = super()._get_enforcement_level(rule)
        if level is EnforcementLevel.REMEDIATE:  # what no rule does, so it only forbids
            return EnforcementLevel.MANDATORY
        silent = rule.name == self_check.RULE.code and level is EnforcementLevel.DISABLED
        return EnforcementLevel.ADVISORY if silent else level

    def Configure(self, request: Any, context: Any) -> Any:
        """Keeps what the engine says, for self-check too."""
        answer = super().Configure(request, context)
        for code, given in request.policyConfig.items():
            self._levels[code] = self._convert_enforcement_level(given.enforcementLevel)
        levels = {code: level.value for code, level in self._levels.items()}
        weakened = self_check.weakened(levels, registry.codes().mandatory)
        self_check.complaints[:] = [*self._misspelt(request.policyConfig), *weakened]
        Thread(target=_warm_up, daemon=True).start()
        return answer

    def _misspelt(self, given: Iterable[str]) -> list[str]:
        """What the engine passes on: names that no rule has, and properties that the rule of the name does not know."""
        models = {rule.name: getattr(rule, "config", NoConfig) for rule in self._policies}
        found = []
        for code in given:
            if code not in models:
                near = nearest(code, models)
                found.append(f"{code}: there is no such rule{f'; did you mean {near}?' if near else ''}")
                continue
            try:
                parse(models[code], self._get_policy_config(code) or {}, f"{code}: {CONFIG}")
            except Problems as error:
                found += error.lines
        return found

    def Remediate(self, request: Any, context: Any) -> Any:
        """Nothing: no rule changes a resource, and the SDK would unpack each one to find that out."""
        return proto.RemediateResponse()

    def Analyze(self, request: Any, context: Any) -> Any:
        """What the rules on single resources say."""
        answer = proto.AnalyzeResponse()
        if rules := self._rules_on(request.type):
            shown = self._shown(request)
            for rule in rules:
                args = ResourceValidationArgs(*shown, self._get_policy_config(rule.name))
                self._ask(rule, args, answer)
        return answer

    def _rules_on(self, kind: str) -> list[Policy]:
        if kind not in self._by_type:
            resource_rules = (one for one in self._policies if isinstance(one, ResourceValidationPolicy))
            self._by_type[kind] = [one for one in resource_rules if looks_at(one, kind)]
        return self._by_type[kind]

    def _shown(self, message: Any) -> Shown:
        options, provider = self._get_resource_options(message), self._get_provider_resource(message)
        return message.type, Props(message.properties), message.urn, message.name, options, provider

    def _ask(self, rule: Any, args: ResourceValidationArgs | StackValidationArgs, answer: Any) -> None:
        """Adds what one rule says to the answer, in the SDK's words where it must wait for what only `up` knows."""
        level = self._get_enforcement_level(rule)
        if level is EnforcementLevel.DISABLED:
            return
        report = self._create_report_violation(answer, rule.name, rule.description, level, rule.severity)
        try:
            rule.validate(args, report)
        except UnknownValueError as error:
            name, version = self._pack
            answer.diagnostics.add(
                policyName=rule.name,
                policyPackName=name,
                policyPackVersion=version,
                message=f"can't run policy '{rule.name}' from policy pack '{name}@v{version}' during preview: "
                f"{error.message}",
                description=rule.description,
                enforcementLevel=proto.ADVISORY,
            )

    def AnalyzeStack(self, request: Any, context: Any) -> Any:
        """What the rules on the whole stack say, each shown the resources that it looks at, and no more of how they
        hang together than their URNs tell."""
        answer = proto.AnalyzeResponse()
        program.is_ours = any(one.type == names.INSTALL for one in request.resources)
        for rule in self._policies:
            if isinstance(rule, StackValidationPolicy):
                select = getattr(rule, "select", lambda resource: True)
                looked_at = (one for one in request.resources if looks_at(rule, one.type) and select(one))
                shown = [PolicyResource(*self._shown(one), None, [], {}) for one in looked_at]
                self._ask(rule, StackValidationArgs(shown), answer)
        return answer


def _warm_up() -> None:
    """The engine starts the program now: on another core, the pack loads what the first verdict needs."""
    from cost_guard.pack import gate  # to start faster

    gate.warm_up()


def serve(name: str, policies: list[Policy], engine: str) -> None:
    """Serves the pack to its own user until the engine at that address is gone. It says its port on stdout, and nothing
    else: the engine reads that."""
    guard = ThreadGuard()
    served = grpc.server(ThreadPoolExecutor(THREADS), interceptors=[guard], options=policy._GRPC_CHANNEL_OPTIONS)
    servicer = Servicer(name, VERSION, policies, EnforcementLevel.MANDATORY, *[None] * DESCRIPTIONS)
    policy.analyzer_pb2_grpc.add_AnalyzerServicer_to_server(servicer, served)  # type: ignore[attr-defined]
    guard.port = served.add_insecure_port(f"{LOOPBACK}:0")
    served.start()
    print(guard.port, flush=True)
    with suppress(KeyboardInterrupt):
        wait_until_gone(engine)
    os._exit(0)  # the SDK's threads are no daemons, and there is nobody to whom they could answer
