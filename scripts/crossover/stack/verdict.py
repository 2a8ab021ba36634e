"""The verdict on a configuration that was read as data: what the program would say, without running it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Any

from cost_guard.catalogue.catalogue import Catalogue, load_catalogue
from cost_guard.pack.registry import codes
from cost_guard.scenario.documents import is_path, usage_path
from cost_guard.scenario.models import MODELS
from cost_guard.scenario.proposal import Proposal
from cost_guard.scenario.scenario import Baseline, Scenario, ScenarioError
from cost_guard.scenario.waiver_file import load_waivers
from cost_guard.scenario.waivers import NO_WAIVERS, Waivers, fleet_urn
from cost_guard.verdict.judge import judge_stack, refuse_future
from cost_guard.verdict.verdict import Verdict
from images.sources import REPOSITORY
from scripts.crossover.stack.approval import Approved
from scripts.crossover.stack.config import ConfigError, StackConfig, Tree, config_path, read_config
from scripts.crossover.stack.engine import StackError, project
from stacks.served import FILE_KEYS
from stacks.settings import parse, proposals_of, with_stand_ins
from strict.day import today
from strict.problems import Problems


@dataclass(frozen=True)
class Yardstick:
    """What a side of a review is judged by."""

    catalogue: Catalogue
    """Of that side: what was is told as it was."""
    today: date
    stack: str
    """Its name alone, as waivers know it."""
    waivers: Waivers = NO_WAIVERS
    project: str = "crossover"

    def judge(self, proposals: Mapping[str, Proposal]) -> Verdict:
        """The verdict as in the program. Raises ScenarioError."""
        under = {
            name: proposal.under(self.waivers, fleet_urn(self.stack, self.project, name))
            for name, proposal in proposals.items()
        }
        return judge_stack(under, self.catalogue, self.today)


def varied(proposal: Proposal, judged: Callable[[Proposal], Verdict]) -> Callable[[Scenario], Verdict | None]:
    """The verdict on variations of a proposal's scenario; None on one that makes no sense."""

    def ask(scenario: Scenario) -> Verdict | None:
        try:
            return judged(replace(proposal, scenario=scenario))
        except ScenarioError:
            return None

    return ask


@dataclass(frozen=True)
class Side:
    """One configuration and its verdict: the pull request's, or the one before it."""

    name: str
    """The ref as the user gave it; empty for the working tree."""
    config: StackConfig | None = None
    """None where the stack is new, or its file cannot be read."""
    proposals: Mapping[str, Proposal] = field(default_factory=dict)
    """As they were judged, by the names of the served models: with the baseline that counts."""
    verdict: Verdict | None = None
    errors: tuple[str, ...] = ()
    """Why there is no verdict; empty where the stack does not exist on this side."""
    once_merged: Verdict | None = None
    """Without the baseline that it removes; None where it removes none."""
    own_baseline: Baseline | None = None
    """As the configuration says, whether it counts or not."""
    not_set: tuple[str, ...] = ()
    """What `up` would say of secrets that the configuration names and does not have."""

    @property
    def proposal(self) -> Proposal | None:
        """That of a single model; None where there are several, or none."""
        return next(iter(self.proposals.values())) if len(self.proposals) == 1 else None

    @property
    def scenario(self) -> Scenario | None:
        """That of the proposal."""
        return self.proposal.scenario if self.proposal else None

    @property
    def deployed(self) -> tuple[int, Decimal] | None:
        """Nodes, and what they, overhead and the gateway's managed budget may cost at most, USD a month; None where no
        verdict knows it."""
        found = self.verdict
        if found is None or found.billed_usd_per_month is None or found.dearest_usd_per_month is None:
            return None
        budgets = sum((one.gateway.managed_budget_usd_per_month or 0 for one in self.proposals.values()), Decimal(0))
        nodes = sum(one.scenario.fleet.node_count for one in self.proposals.values())
        return nodes, max(found.billed_usd_per_month, found.dearest_usd_per_month) + budgets

    @property
    def baseline(self) -> Baseline | None:
        """The one that counts: all models have the stack's."""
        return next((proposal.baseline for proposal in self.proposals.values()), None)


def evaluate_side(yardstick: Yardstick, tree: Tree, path: str, *, whole: bool, before: Approved | None = None) -> Side:
    """Reads and judges, under the yardstick's waivers, with the baseline that counts beside the one `before`. `whole`
    is what the program would do: the rest of the configuration must be usable, too. Raises SourceError."""
    try:
        config = read_config(tree, path)
    except ConfigError as error:
        return Side(tree.ref, errors=tuple(error.lines))
    if config is None:
        return Side(tree.ref)
    try:
        with tree.folder_with(*_named_files(config)) as folder:
            found, not_set = _asked(config.values, folder, whole)
        own = next(iter(found.values())).baseline
        if before is not None:
            refuse_future(own, yardstick.today)  # as the program does, which knows no other baseline
        side = judged_within(found, own, before, yardstick.judge)
        return replace(side, name=tree.ref, config=config, not_set=not_set)
    except ConfigError as error:
        return Side(tree.ref, config, errors=tuple(error.lines))
    except Problems as error:
        return Side(tree.ref, config, errors=tuple(config.lines.located(error.lines)))


def judged_within(
    found: Mapping[str, Proposal],
    own: Baseline | None,
    before: Approved | None,
    judge: Callable[[Mapping[str, Proposal]], Verdict],
) -> Side:
    """The verdict with the baseline that counts beside the one `before`; where the change removes that, also the one
    that holds once it is merged. Raises ScenarioError."""
    counted = own if before is None else before.counted(own)
    within = {name: replace(proposal, baseline=counted) for name, proposal in found.items()}
    removed = own is None and counted is not None
    later = judge({name: replace(proposal, baseline=None) for name, proposal in found.items()}) if removed else None
    return Side("", None, within, judge(within), once_merged=later, own_baseline=own)


def _asked(values: Mapping[str, Any], folder: Path, whole: bool) -> tuple[dict[str, Proposal], tuple[str, ...]]:
    """The proposals, and what `up` would say of secrets that are not set. What is not asked `whole` may be wrong beside
    what the gate reads. Raises Problems."""
    try:
        settings = parse(with_stand_ins(values), folder)
    except Problems:
        if whole:
            raise
        return proposals_of(values, folder), ()
    return settings.proposals, settings.not_set


def verdict(stack: str) -> Verdict:
    """As `judged`, as of today. Raises StackError alone."""
    try:
        return judged(stack, today())
    except Problems as e:
        raise StackError(str(e)) from None


def judged(stack: str, day: date) -> Verdict:
    """The gate on the stack's committed configuration with its waivers, as `up` would judge it on that day.

    The file is read: the stack need not exist, and no secret is needed. Raises StackError where there is no such file,
    Problems where what it says cannot be judged.
    """
    path = config_path(stack)
    waivers = load_waivers(REPOSITORY, codes)
    yardstick = Yardstick(load_catalogue(), day, stack.rpartition("/")[2], waivers, project())
    side = evaluate_side(yardstick, Tree(REPOSITORY), path, whole=True)
    if side.errors:
        raise Problems(side.errors)
    if side.verdict is None:
        raise StackError(f"there is no {path}")
    unseen = side.config.unseen if side.config else ""
    return replace(side.verdict, notes=(*side.verdict.notes, unseen)) if unseen else side.verdict


def _named_files(config: StackConfig) -> list[str]:
    """The files that a configuration names and its verdict reads, those within the project."""
    models = config.values.get(MODELS)
    documents = [config.values, *(models.values() if isinstance(models, Mapping) else ())]
    named = [path for document in documents for path in (usage_path(document), *_serving_files(document))]
    found = [path for path in named if isinstance(path, str) and is_path(path)]
    return [path for path in found if not PurePosixPath(path).is_absolute() and ".." not in PurePosixPath(path).parts]


def _serving_files(document: object) -> list[object]:
    serving = document.get("serving") if isinstance(document, Mapping) else None
    return [serving.get(key) for key in FILE_KEYS] if isinstance(serving, Mapping) else []
