"""What the SDK's server of a pack lacks: it asks a rule about the types that the rule looks at and no others, and tells
self-check the levels that it was given.

The SDK turns a resource's properties into proxies once for each rule: 0.4 ms for an Install; 17 rules and 200 nodes
are more than a second. And a rule that is disabled is not asked, so that it cannot say so. `PolicyPack` takes its
server from a private name of its module, which `install` replaces; pulumi-policy is pinned, and an upgrade without that
name fails here, before anything is judged.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

from pulumi.runtime.proto import analyzer_pb2
from pulumi_policy import EnforcementLevel, Policy, StackValidationPolicy, policy
from pydantic import ValidationError

from . import self_check
from .rule import Rule, config_lines

_Base: Any = policy._PolicyAnalyzerServicer


class _Server(_Base):  # type: ignore[misc]
    """The SDK's, which asks self-check even where it is disabled, and does once what need not be done again."""

    def _get_enforcement_level(self, rule: Policy) -> EnforcementLevel:
        level: EnforcementLevel = super()._get_enforcement_level(rule)
        silent = rule.name == self_check.CODE and level is EnforcementLevel.DISABLED
        return EnforcementLevel.ADVISORY if silent else level

    def _configure_runtime_settings(self) -> None:
        """At each call the SDK would parse the stack's whole configuration again: the process did when it began."""

    def Remediate(self, request: Any, context: Any) -> Any:
        """Nothing: no rule changes a resource, and the SDK would unpack each one to find that out."""
        return analyzer_pb2.RemediateResponse()


class Servicer(_Server):
    """The SDK's, with another of the SDK's for each resource type that is met, which has the rules that look at it."""

    def __init__(self, name: str, version: str, policies: list[Policy], *rest: Any) -> None:
        super().__init__(name, version, policies, *rest)
        self._told: tuple[Any, ...] = (name, version, *rest)
        self._policies = policies
        self._configuration: Any = None
        self._by_type: dict[str, Any] = {}

    def Configure(self, request: Any, context: Any) -> Any:
        """Keeps what the engine says for the servers by type, and for self-check."""
        answer = super().Configure(request, context)
        self._configuration = request
        self._by_type.clear()
        for code, given in request.policyConfig.items():
            self_check.levels[code] = self._convert_enforcement_level(given.enforcementLevel)
        self_check.complaints[:] = self._misspelt()
        return answer

    def _misspelt(self) -> list[str]:
        found = []
        for rule in (one for one in self._policies if isinstance(one, Rule)):
            try:
                rule.config.model_validate(self._get_policy_config(rule.name) or {})
            except ValidationError as error:
                found += [f"{rule.name}: {line}" for line in config_lines(rule.config, error)]
        return found

    def Analyze(self, request: Any, context: Any) -> Any:
        """Of the rules that look at the resource's type."""
        kind = request.type
        if kind not in self._by_type:
            self._by_type[kind] = self._server_of(kind)
        server = self._by_type[kind]
        return analyzer_pb2.AnalyzeResponse() if server is None else server.Analyze(request, context)

    def _server_of(self, kind: str) -> Any:
        wanted = [one for one in self._policies if _looks_at(one, kind)]
        return self._server_for(wanted) if wanted else None

    def _server_for(self, rules: list[Policy]) -> Any:
        name, version, *rest = self._told
        server = _Server(name, version, rules, *rest)
        if self._configuration is not None:
            server.Configure(self._configuration, None)
        return server

    def AnalyzeStack(self, request: Any, context: Any) -> Any:
        """Each rule of the resources that it looks at."""
        answer = analyzer_pb2.AnalyzeResponse()
        for rule in self._policies:
            if isinstance(rule, StackValidationPolicy):
                select = getattr(rule, "select", bool)
                shown = (one for one in request.resources if _looks_at(rule, one.type) and select(one))
                asked = analyzer_pb2.AnalyzeStackRequest(resources=shown)
                answer.MergeFrom(self._server_for([rule]).AnalyzeStack(asked, context))
        return answer


def _looks_at(rule: Policy, kind: str) -> bool:
    return any(fnmatchcase(kind, glob) for glob in getattr(rule, "looks_at", ("*",)))


def install() -> None:
    """Packs made from now on are served by it."""
    policy._PolicyAnalyzerServicer = Servicer  # type: ignore[misc,assignment]
