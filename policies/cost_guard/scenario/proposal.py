"""What the gate judges: what program, pack, preview and `plan` have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from difflib import get_close_matches
from fractions import Fraction
from pathlib import Path
from typing import Any

from cost_guard.scenario.documents import read_usage
from cost_guard.scenario.models import MODELS, by_model, prefix_of, shared_as_such
from cost_guard.scenario.scenario import Baseline, Scenario, ScenarioError, plain
from cost_guard.scenario.sections.beside import NO_SPEND, BilledResource, GatewaySpend, ServedAs
from cost_guard.scenario.usage import Usage, parse_usage, with_usage
from cost_guard.scenario.waivers import NO_WAIVERS, Waivers
from strict.problems import parse

STACK_PREFIX = "crossover:"
"""How a key is called in a stack's config, e.g. crossover:workload.tokensPerMonth."""
BASELINE, USAGE, SERVED, GATEWAY, RESOURCES = "baseline", "usage", "served", "gateway", "resources"
"""Keys of a Fleet's inputs beside those of the scenario."""
BESIDE = (BASELINE, USAGE, SERVED, GATEWAY, RESOURCES)
_ALIKE = 0.8
"""From which likeness on another namespace is a misspelling of ours: "crosover" is 0.94, "crossplane" 0.74."""


@dataclass(frozen=True)
class Proposal:
    """A scenario, and what is known beside it. Build it with `parse_proposal`."""

    scenario: Scenario
    """With the numbers of the usage file, where it names one."""
    baseline: Baseline | None = None
    """What was approved and runs: a deployment within it is repair."""
    usage: Usage | None = None
    """Where the scenario's volume comes from; its last day is the volume's."""
    waivers: Waivers = NO_WAIVERS
    urn: str = ""
    """The Fleet's (`waivers.fleet_urn`): what waivers may cover."""
    bills_money: bool | None = None
    """False makes the rules that only bills are refused for advisory; None reads it from the candidates' clouds."""
    served: ServedAs | None = None
    """How the nodes serve their model; None in a plan."""
    gateway: GatewaySpend = NO_SPEND
    resources: tuple[BilledResource, ...] = ()
    """What the stack makes besides nodes and has a list price, as far as its configuration tells."""
    more_usd_per_month: Decimal = Decimal(0)
    """What a plan makes besides nodes and beyond `resources`, at list prices: the pack alone sees it."""
    overhead_share: Fraction = Fraction(1)
    """Of several models, the part of what they share (overhead, what is paid up front and left in the end) that this
    one bears."""

    @property
    def volume_kind(self) -> str:
        """How the volume is known: measured only with a usage file."""
        kind = self.scenario.workload.kind
        return "asserted" if kind == "measured" and self.usage is None else kind

    def to_inputs(self) -> dict[str, Any]:
        """As plain values in the schema's own words: a Fleet's inputs. `proposal_of_inputs` is the way back."""
        found = self.scenario.to_inputs()
        beside = {
            BASELINE: self.baseline,
            SERVED: self.served,
            GATEWAY: None if self.gateway == NO_SPEND else self.gateway,
        }
        for key, section in beside.items():
            if section is not None:
                found[key] = plain(section.model_dump(by_alias=True, exclude_none=True))
        if self.usage is not None:
            found[USAGE] = self.usage.to_inputs()
        if self.resources:
            found[RESOURCES] = [plain(one.model_dump(by_alias=True, exclude_defaults=True)) for one in self.resources]
        return found

    def under(self, waivers: Waivers, urn: str) -> Proposal:
        """The same under these waivers, as that Fleet."""
        return replace(self, waivers=waivers, urn=urn)


def misspelt_namespace(key: str) -> str:
    """What is wrong with a key of a stack's configuration whose namespace is almost ours, and which nobody would read;
    empty where nothing is."""
    namespace, colon, _ = key.partition(":")
    ours = STACK_PREFIX.rstrip(":")
    if not colon or namespace == ours or not get_close_matches(namespace.lower(), [ours], cutoff=_ALIKE):
        return ""
    return f"{key}: unknown namespace {namespace} (did you mean {ours}?)"


def parse_proposal(
    scenario: object,
    baseline: object = None,
    usage: Usage | None = None,
    prefix: str = STACK_PREFIX,
    *,
    served: ServedAs | None = None,
    gateway: GatewaySpend = NO_SPEND,
    resources: tuple[BilledResource, ...] = (),
) -> Proposal:
    """Of the scenario's and the baseline's plain data, and the content of the usage file that the scenario names.

    `prefix` is what the keys are called by. Raises ScenarioError, with the lines of both.
    """
    lines: list[str] = []
    given = approved = None
    try:
        given = parse_scenario(scenario, prefix)
    except ScenarioError as error:
        lines += error.lines
    try:
        approved = None if baseline is None else parse_baseline(baseline, f"{prefix}baseline.")
    except ScenarioError as error:
        lines += error.lines
    if given is None or lines:
        raise ScenarioError(lines)
    whole = given if usage is None else with_usage(given, usage)
    return Proposal(whole, approved, usage, served=served, gateway=gateway, resources=resources)


def parse_proposals(data: object, folder: Path, prefix: str = "") -> dict[str, Proposal]:
    """Of a plan's document, by the names of its models: of one, or of several below `models`. The usage files that they
    name are read, relative to `folder`. Raises ScenarioError."""
    documents: Mapping[str, Any] = by_model(data, prefix) if isinstance(data, Mapping) else {"": data}
    several = isinstance(data, Mapping) and MODELS in data
    found, lines = {}, list[str]()
    for name, document in documents.items():
        own = prefix_of(name, several, prefix)
        try:
            found[name] = parse_proposal(document, None, read_usage(document, folder, own), own)
        except ScenarioError as error:
            lines += shared_as_such(error.lines, name, prefix) if several else error.lines
    if lines:
        raise ScenarioError(dict.fromkeys(lines))
    return found


def proposal_of_inputs(inputs: Mapping[str, Any], prefix: str = STACK_PREFIX) -> Proposal:
    """Of a Fleet's inputs. Raises ScenarioError."""
    scenario = {key: value for key, value in inputs.items() if key not in BESIDE}
    usage, served, gateway = (inputs.get(key) for key in (USAGE, SERVED, GATEWAY))
    return parse_proposal(
        scenario,
        inputs.get(BASELINE),
        None if usage is None else parse_usage(usage),
        prefix,
        served=None if served is None else parse(ServedAs, served, f"{prefix}{SERVED}.", ScenarioError),
        gateway=NO_SPEND if gateway is None else parse(GatewaySpend, gateway, f"{prefix}{GATEWAY}.", ScenarioError),
        resources=tuple(
            parse(BilledResource, one, f"{prefix}{RESOURCES}[{number}].", ScenarioError)
            for number, one in enumerate(inputs.get(RESOURCES, ()))
        ),
    )


def parse_scenario(data: object, prefix: str = STACK_PREFIX) -> Scenario:
    """The scenario of plain data. `prefix` is what its keys are called by. Raises ScenarioError."""
    return parse(Scenario, data, prefix, ScenarioError)


def parse_baseline(data: object, prefix: str = STACK_PREFIX + "baseline.") -> Baseline:
    """The approved baseline of plain data. Raises ScenarioError."""
    return parse(Baseline, data, prefix, ScenarioError)
