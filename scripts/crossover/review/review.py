"""Everything that is known of one pull request and one stack, and the one outcome that follows from it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import PurePosixPath

from cost_guard import wording
from cost_guard.catalogue.catalogue import MANAGED, PRICES, THROUGHPUT
from cost_guard.codes import ADVISORY, BESIDE, CANNOT_EVALUATE, WAIVERS, Level
from cost_guard.pack import registry
from cost_guard.scenario.scenario import Baseline
from cost_guard.scenario.sections.approval import Status
from cost_guard.scenario.waivers import NO_WAIVERS, Waiver, Waivers
from cost_guard.verdict.rules import RULES
from cost_guard.verdict.verdict import Reason, Verdict
from scripts.crossover.review.flip import Flip
from scripts.crossover.review.jobs import EXAMPLES, WORKFLOW
from scripts.crossover.review.preview.events import PACK, PolicyViolation, Run
from scripts.crossover.review.rules import (
    BASE_SCALES,
    CONFIGURATION,
    ENVIRONMENT,
    IN_FORCE,
    OWN_BASELINE,
    PROGRAM,
    SECRETS_SET,
    STACK_WITHOUT_JOB,
)
from scripts.crossover.review.scales.base import DATA
from scripts.crossover.review.scales.both import Scales, worse
from scripts.crossover.stack.approval import Approved, excess_words
from scripts.crossover.stack.config import config_path
from scripts.crossover.stack.verdict import Side
from strict.places import Place

TOLD_LINE = re.compile(r"^(WAIVED|WARN) ([a-z-]+): (.*)$", re.MULTILINE)
"""How the pack's advisory rules tell of what a waiver lifts, and of what only warns."""
PLACE = re.compile(r"(?P<path>[^\s:/\\][^:\\]*\.(?:ya?ml|toml|json|csv)):(?:(?P<line>\d+):)?")
"""How an error names its file, relative, and the line."""
BASE_TOO = (
    "The base has this too, and this change buys nothing: the check does not fail for it. `up` is refused until it is "
    "mended or waived."
)
NODES: Place = ("fleet", "nodes")
"""Where a violation points whose rule is not known."""
SHOWN_BY_THE_PACK = (ADVISORY, WAIVERS, BESIDE)
"""Its rules that repeat what the verdict warns of, and tell what is waived and what warns elsewhere."""


class ReviewOutcome(StrEnum):
    """The one word of a review."""

    PASS = "PASS"
    WARN = "WARN"
    BLOCK = "BLOCK"
    CANNOT_EVALUATE = "CANNOT EVALUATE"
    FAILED = "FAILED"


@dataclass(frozen=True)
class ReviewFinding:
    """One thing that a rule has found."""

    rule: str
    level: str
    """BLOCK, WARN, WAIVED, or ERROR where there is no verdict."""
    message: str
    line: int = 1
    """Of the file."""
    path: str | None = None
    """From the project's root, of another file than the stack's configuration: waivers, prices."""


@dataclass(frozen=True)
class ShownWaiver:
    """A waiver for the stack, as a reviewer must see it."""

    policy: str
    state: str
    """"used", "not used", or why it does not count: "expired", "void", "not begun"."""
    text: str
    """Reason, ticket, who mends it, who allows it, until when and up to what cost."""
    line: int
    """In the waivers' file."""


@dataclass(frozen=True)
class Review:
    """`base` is None where nothing is compared, `run` None where no program was run."""

    stack: str
    path: str
    """Of the configuration file, from the project's root."""
    today: date
    head: Side
    base: Side | None = None
    approved: Approved | None = None
    """The baseline before the pull request; None where there is nothing that it could be compared with."""
    run: Run | None = None
    untrusted: bool = False
    """Of a pull request from a fork: judged as data."""
    flips: tuple[Flip, ...] = ()
    waivers: Waivers = NO_WAIVERS
    judges_changed: tuple[str, ...] = ()
    """Files that have a say in verdicts (`judges.is_judge`) and differ from the base."""
    without_job: tuple[str, ...] = ()
    """Stacks that no job of the workflow judges."""
    scales: Scales | None = None
    """By the base's, where it changes what it is weighed by."""
    inherited: frozenset[str] = frozenset()
    """Codes that block the base as well, where nothing is bought."""
    removed: bool = False
    """The configuration is there in the base, and the pull request takes it away."""
    foreign: bool = False
    """Of a program that is not this project's: its Fleets are judged, as its preview tells of them."""

    @property
    def marker(self) -> str:
        """Hidden in the comment, one a stack: by it the comment is found and updated in place."""
        return f"<!-- crossover:stack={self.stack.rpartition('/')[2]} -->"

    @property
    def verdict(self) -> Verdict | None:
        """Of the pull request's configuration."""
        return self.head.verdict

    @property
    def judges_nothing(self) -> bool:
        """A program of others that makes no Fleet: the rules on resources were asked, and there is no verdict."""
        return self.foreign and self.verdict is None and not self.head.errors

    @property
    def shown_waivers(self) -> tuple[ShownWaiver, ...]:
        """Those for this stack, in the file's order, used or not."""
        stack, dearest = self.stack.rpartition("/")[2], self.verdict.billed_usd_per_month if self.verdict else None
        waived = {finding.rule for finding in self.findings if finding.level == "WAIVED"}

        def shown(waiver: Waiver) -> ShownWaiver:
            status = waiver.status(self.today, dearest)
            used = "used" if waiver.policy in waived else "not used"
            return ShownWaiver(
                policy=waiver.policy,
                state=used if status is Status.VALID else str(status),
                text=waiver_words(waiver),
                line=self.waivers.line_of(waiver),
            )

        return tuple(shown(waiver) for waiver in self.waivers.entries if fnmatchcase(stack, waiver.stack))

    @cached_property
    def findings(self) -> tuple[ReviewFinding, ...]:
        """All of them, the worst first."""
        found = [ReviewFinding(CONFIGURATION, "ERROR", line, *_place_of(line, self.path)) for line in self.head.errors]
        found += [self._of_reason(reason) for reason in (self.verdict.reasons if self.verdict else ())]
        found += self._by_the_base()
        found += self._once_merged()
        own = self.head.own_baseline
        if own is not None and self.approved is not None and self.approved.raised_by(own):
            found.append(self._of_baseline(own, self.approved))
        found += [_of_unjudged(stack) for stack in self.without_job]
        told = [f"{line}. `up` will refuse." for line in self.head.not_set]
        found += [ReviewFinding(SECRETS_SET, "WARN", line, self._line(("apiKeys",))) for line in told]
        if self.head.config is not None and self.head.config.unseen:
            line = self.head.config.environments_line
            found.append(ReviewFinding(ENVIRONMENT, "WARN", self.head.config.unseen, line))
        if self.run is not None:
            found += [
                ReviewFinding(IN_FORCE, "BLOCK", f"the mandatory rule {rule} was not in force: {how}.")
                for rule, how in self.run.weakened
            ]
            found += [self._of_violation(violation) for violation in self.run.violations if self._is_news(violation)]
            found += self._told_elsewhere(self.run.violations)
            found += [ReviewFinding(PROGRAM, "ERROR", message) for message in self.run.failures]
        order = ("ERROR", "BLOCK", "WAIVED", "WARN")
        return tuple(sorted(found, key=lambda finding: order.index(finding.level)))

    @property
    def outcome(self) -> ReviewOutcome:
        """A block is certain even where the program failed; else what is not known is not called a pass."""
        levels = {finding.level for finding in self.findings}
        if "BLOCK" in levels:
            return ReviewOutcome.BLOCK
        if self.verdict is None and not self.judges_nothing:
            return ReviewOutcome.CANNOT_EVALUATE
        if "ERROR" in levels:
            return ReviewOutcome.FAILED
        if levels or (self.verdict is not None and self.verdict.level is not Level.PASS):
            return ReviewOutcome.WARN
        return ReviewOutcome.PASS

    def exit_code(self, strict: bool) -> int:
        """0 pass or warn, 4 a warning with strict, 2 block, 3 cannot evaluate, 1 failed."""
        codes = {ReviewOutcome.BLOCK: 2, ReviewOutcome.CANNOT_EVALUATE: CANNOT_EVALUATE, ReviewOutcome.FAILED: 1}
        return 4 if strict and self.outcome is ReviewOutcome.WARN else codes.get(self.outcome, 0)

    def _of_reason(self, reason: Reason) -> ReviewFinding:
        place = RULES[reason.code].key
        if reason.code == "price-known" and self.verdict and self.verdict.managed_usd_per_million is None:
            place = ("managed", "routes")
        level, message = reason.level, reason.message
        if level is Level.BLOCK and reason.code in self.inherited:
            level, message = Level.WARN, f"{message} {BASE_TOO}"
        return ReviewFinding(reason.code, str(level), message, self._line(place))

    def _of_baseline(self, own: Baseline, approved: Approved) -> ReviewFinding:
        """A raised one counts from the next change on: so it may not be more than what this change deploys."""
        told, excess = approved.raised_words(own), excess_words(own, self.head.deployed)
        level = "BLOCK" if excess else "WARN"
        return ReviewFinding(OWN_BASELINE, level, f"{told}{excess}", self._line(("baseline",)))

    def _by_the_base(self) -> Iterator[ReviewFinding]:
        """Where the base's scales say worse, or cannot say anything."""
        if self.scales is None or self.verdict is None:
            return
        for reason in self.scales.worse_than(self.verdict):
            yield self._of_reason(replace(reason, message=f"by the base's figures: {reason.message}"))
        for line in self.scales.errors:
            yield ReviewFinding(BASE_SCALES, "BLOCK", f"by the base's figures it cannot be judged: {line}.")
        for line in self.scales.unread:
            yield ReviewFinding(BASE_SCALES, "WARN", line)

    def _once_merged(self) -> Iterator[ReviewFinding]:
        """What the removal of the baseline brings."""
        later = self.head.once_merged
        for reason in worse(later, self.verdict) if later and self.verdict else ():
            yield self._of_reason(replace(reason, message=f"without the baseline that it removes: {reason.message}"))

    def _of_violation(self, violation: PolicyViolation) -> ReviewFinding:
        level = "BLOCK" if violation.level == "mandatory" else "WARN"
        rule = violation.rule if violation.pack == PACK else f"{violation.pack}/{violation.rule}"
        line = self._line(_place(violation.rule, violation))
        return ReviewFinding(rule, level, f"{violation.name}: {violation.message}", line)

    def _told_elsewhere(self, violations: Iterable[PolicyViolation]) -> Iterator[ReviewFinding]:
        """What a waiver lifts, or only warns, of rules that are not the verdict's."""
        told = {reason.code for reason in (self.verdict.reasons if self.verdict else ())}
        for violation in violations:
            if violation.pack == PACK and violation.rule in SHOWN_BY_THE_PACK:
                for level, rule, text in TOLD_LINE.findall(violation.message):
                    if rule not in told:
                        line = self._line(_place(rule, violation))
                        yield ReviewFinding(rule, level, f"{violation.name}: {text}", line)

    def _is_news(self, violation: PolicyViolation) -> bool:
        """Not what the verdict says anyway."""
        if violation.pack != PACK:
            return True
        known = [one for one in (self.verdict, self.head.once_merged) if one is not None]
        told = {(reason.code, str(reason.level)) for one in known for reason in one.reasons}
        level = "BLOCK" if violation.level == "mandatory" else "WARN"
        weakened = {rule for rule, _ in (self.run.weakened if self.run else ())}
        covered = (violation.rule, level) in told or (violation.rule in weakened and (violation.rule, "BLOCK") in told)
        return violation.rule not in SHOWN_BY_THE_PACK and not covered

    def _line(self, place: Place) -> int:
        return self.head.config.lines.at(place) if self.head.config else 1


def _place(rule: str, violation: PolicyViolation) -> Place:
    """Of the configuration: what the rule speaks of, and in it what is named as the resource is."""
    return (*next((known.key for known in registry.rules() if known.code == rule), NODES), violation.name)


def _of_unjudged(stack: str) -> ReviewFinding:
    message = (
        f"no job judges the stack {stack}: add it to every matrix.stack of {WORKFLOW}, or, where nobody deploys it, to "
        f"{EXAMPLES} there."
    )
    return ReviewFinding(STACK_WITHOUT_JOB, "BLOCK", message, path=config_path(stack))


def waiver_words(waiver: Waiver) -> str:
    """All that a reviewer asks of a waiver, whatever it is worth today."""
    cap = waiver.cost_cap_usd_per_month
    up_to = "" if cap is None else f", void above {wording.usd(cap)}/month"
    return (
        f"{waiver.reason.strip()} ({waiver.ticket}); {waiver.owner} mends it, {waiver.approver} allows it until "
        f"{waiver.expires}{up_to}"
    )


def _place_of(error: str, config: str) -> tuple[int, str | None]:
    """The line and the file that an error begins with, "path:12: …"; the first line of the configuration where it names
    none that is within the project."""
    found = PLACE.match(error)
    if found is None or ".." in PurePosixPath(found["path"]).parts:
        return 1, None
    path = f"{DATA}/{found['path']}" if found["path"] in (PRICES, THROUGHPUT, MANAGED) else found["path"]
    return max(1, int(found["line"] or 1)), None if path == config else path
