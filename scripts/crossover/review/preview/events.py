"""What the engine reports of a preview: its streaming JSON, one event a line. Never scraped from text for people."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cost_guard.pack.resources.type_allowed import MADE
from cost_guard.verdict.verdict import REFUSAL
from strict.names import AWS_NETWORK, AWS_NODE, FLEET, GATEWAY, name_of

PACK = "cost-guard"
EXITED = "an unhandled error occurred: Program exited with non-zero exit code"
"""The engine's echo of a program that has failed or refused; alone, it says nothing of why."""
FAILED = "preview failed"
"""All that pulumi 3.259 says, at level error, of a preview whose program came to its end: a mandatory rule was broken,
or something else that it tells of before."""
DEFERRED = "can't run policy '"
"""How pulumi-policy 1.21 notes, at level advisory, that a rule asked for what only `up` knows."""
UNCHANGED = ("same", "read")
PARTS_OF_REPLACE = ("create-replacement", "delete-replaced")
MOST_WORDS = 2000


@dataclass(frozen=True)
class Change:
    """What `up` would do to a resource. Values are left out: they may be secret."""

    op: str
    type: str
    name: str
    keys: tuple[str, ...] = ()
    """The inputs that differ."""


@dataclass(frozen=True)
class PolicyViolation:
    """What a rule of a policy pack says of a resource."""

    rule: str
    pack: str
    level: str
    """"mandatory" or "advisory", as the engine enforced it."""
    urn: str
    message: str

    @property
    def name(self) -> str:
        """The resource's name."""
        return name_of(self.urn)


@dataclass(frozen=True)
class FleetStep:
    """A Fleet as a preview tells of it: its inputs before and after, in plain values; None where there is none."""

    urn: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


@dataclass(frozen=True)
class Run:
    """One preview."""

    changes: tuple[Change, ...] = ()
    violations: tuple[PolicyViolation, ...] = ()
    weakened: tuple[tuple[str, str], ...] = ()
    """Mandatory rule → how it was not in force: "disabled" or "downgraded to advisory"."""
    deferred: tuple[tuple[str, str], ...] = ()
    """Rule → why it can only be judged in `up`, where it holds."""
    failures: tuple[str, ...] = ()
    """Why the program or the engine failed; the gate's refusal is none."""
    new_types: tuple[str, ...] = ()
    """The types that it would make and the stack has none of: see the function `new_types`."""
    fleets: tuple[FleetStep, ...] = ()
    """Every Fleet of the plan, and of what is up."""


@dataclass(frozen=True)
class Mandatory:
    """The rules that must be in force, by what the engine tells of them."""

    resource: frozenset[str]
    stack: frozenset[str] = frozenset()
    """Rules on the whole stack: asked only in a preview that came to its end."""


def read(
    lines: Iterable[str],
    mandatory: Mandatory,
    *,
    exit_code: int = 0,
    said: str = "",
    clean: Callable[[str], str] = str,
) -> Run:
    """Understands the events of one preview, in whatever order they come. `said` is standard error; `clean` takes
    secrets out of all text."""
    events, foreign = _events(lines)
    told = sorted(
        (_violation(event, clean) for event in _of(events, "policyEvent")),
        key=lambda one: (one.pack, one.rule, one.urn, one.message),
    )
    violations = tuple(one for one in told if not one.message.startswith(DEFERRED))
    deferred = {one.rule: one.message.partition(" during preview: ")[2] for one in told if one not in violations}
    succeeded = exit_code == 0 and any(e.get("result") == "succeeded" for e in _of(events, "summaryEvent"))
    mandatory_hit = any(violation.level == "mandatory" for violation in violations)
    failures = _failures(events, clean, mandatory_hit)
    if not succeeded and not failures and not mandatory_hit and not _refused(events):
        words = clean(said.strip() or foreign.strip()) or f"the engine exited with {exit_code} and no reason"
        failures = (words[-MOST_WORDS:],)
    # The engine works on many resources at once: what it tells of them comes in another order each time.
    return Run(
        changes=tuple(sorted(_changes(events), key=lambda change: (change.type, change.name, change.op))),
        violations=violations,
        weakened=_weakened(events, violations, mandatory, succeeded),
        deferred=tuple(sorted(deferred.items())),
        failures=tuple(sorted(failures)),
        new_types=new_types(events),
        fleets=_fleets(events),
    )


def _events(lines: Iterable[str]) -> tuple[list[Mapping[str, Any]], str]:
    """The events, and the beginning of what is none."""
    events: list[Mapping[str, Any]] = []
    foreign = ""
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if isinstance(event, dict):
            events.append(event)
        elif len(foreign) < MOST_WORDS:
            foreign += line
    return events, foreign


def _of(events: Iterable[Mapping[str, Any]], kind: str) -> list[Mapping[str, Any]]:
    return [event[kind] for event in events if isinstance(event.get(kind), dict)]


def _changes(events: Iterable[Mapping[str, Any]]) -> list[Change]:
    found = []
    for event in _of(events, "resourcePreEvent"):
        step = event["metadata"]
        if step["op"] not in (*UNCHANGED, *PARTS_OF_REPLACE):
            name = name_of(step["urn"])
            found.append(Change(step["op"], step["type"], name, _keys(step)))
    return found


def new_types(events: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Of the resources that a preview would create: the types that the stack has none of, sorted. Those of this
    project, its components and the engine's own are left out: where nothing is up yet, all of them would be new."""
    steps = [event["metadata"] for event in _of(events, "resourcePreEvent")]
    known = {step["type"] for step in steps if step["op"] != "create"} | {*MADE, FLEET, GATEWAY, AWS_NODE, AWS_NETWORK}
    made = {step["type"] for step in steps if step["op"] == "create"}
    return tuple(sorted(kind for kind in made - known if not kind.startswith("pulumi:")))


def _fleets(events: Iterable[Mapping[str, Any]]) -> tuple[FleetStep, ...]:
    steps = [event["metadata"] for event in _of(events, "resourcePreEvent") if event["metadata"]["type"] == FLEET]
    return tuple(
        FleetStep(step["urn"], *((step.get(side) or {}).get("inputs") for side in ("old", "new")))
        for step in sorted(steps, key=lambda one: str(one["urn"]))
    )


def _keys(step: Mapping[str, Any]) -> tuple[str, ...]:
    """The inputs that differ: as the provider says, or, of a component, which has none, by the inputs themselves."""
    if step.get("diffs") or step["op"] != "update":
        return tuple(sorted(step.get("diffs") or ()))
    old, new = ((step.get(side) or {}).get("inputs") or {} for side in ("old", "new"))
    return tuple(key for key in sorted({*old, *new}) if old.get(key) != new.get(key))


def _violation(event: Mapping[str, Any], clean: Callable[[str], str]) -> PolicyViolation:
    # The engine puts the rule's description before what the rule reports.
    message = clean(str(event.get("message", "")).strip())
    _, separator, reported = message.partition("\n")
    return PolicyViolation(
        rule=event["policyName"],
        pack=event["policyPackName"],
        level=event["enforcementLevel"],
        urn=event.get("resourceUrn", ""),
        message=reported if separator else message,
    )


def _failures(events: Iterable[Mapping[str, Any]], clean: Callable[[str], str], violated: bool) -> tuple[str, ...]:
    """Each once. FAILED only where neither a mandatory rule is `violated` nor another error explains it."""
    found: dict[str, None] = {}
    for event in _of(events, "diagnosticEvent"):
        text = str(event.get("message", "")).strip()
        if event.get("severity") == "error" and not text.startswith((REFUSAL, EXITED)) and text:
            found[clean(text)[:MOST_WORDS]] = None
    if violated or len(found) > 1:
        found.pop(FAILED, None)
    return tuple(found)


def _refused(events: Iterable[Mapping[str, Any]]) -> bool:
    said = (str(e.get("message", "")) for e in _of(events, "diagnosticEvent") if e.get("severity") == "error")
    return any(text.startswith(REFUSAL) for text in said)


def _weakened(
    events: Iterable[Mapping[str, Any]], violations: Iterable[PolicyViolation], mandatory: Mandatory, succeeded: bool
) -> tuple[tuple[str, str], ...]:
    """A rule in force is told as passed or failed of each resource, and of the Fleet above all."""
    summaries = [e for e in _of(events, "policyAnalyzeSummaryEvent") if e.get("policyPackName") == PACK]
    of_fleet = [e for e in summaries if f"{FLEET}::" in e.get("resourceUrn", "")]
    asked = _asked(of_fleet or summaries)
    wanted: set[str] = set()
    if summaries or succeeded:  # a program that failed at once was never shown to the pack
        wanted |= mandatory.resource - asked
    if succeeded:
        ended = [e for e in _of(events, "policyAnalyzeStackSummaryEvent") if e.get("policyPackName") == PACK]
        wanted |= mandatory.stack - _asked(ended)
    downgraded = {
        violation.rule
        for violation in violations
        if violation.pack == PACK
        and violation.rule in mandatory.resource | mandatory.stack
        and violation.level not in ("mandatory", "remediate")
    }
    found = dict.fromkeys(sorted(wanted), "disabled")
    found.update(dict.fromkeys(sorted(downgraded), "downgraded to advisory"))
    return tuple(found.items())


def _asked(summaries: Iterable[Mapping[str, Any]]) -> set[str]:
    return {rule for e in summaries for rule in (*(e.get("passed") or ()), *(e.get("failed") or ()))}
