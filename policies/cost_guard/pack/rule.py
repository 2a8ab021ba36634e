"""A rule on a resource, or on the whole stack: plain data and a function.

A rule yields complaints; enforcement level, waivers, configuration and failures are handled once, by `policies`, which
makes the SDK's classes of them. This file and those of `resources/` load no SDK, so that every command can know the
rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from cost_guard.codes import Rule
from strict.fields import Section

if TYPE_CHECKING:  # to start faster
    from pulumi_policy import PolicyResource, ResourceValidationArgs


WILD = frozenset("*?[")
"""What makes a glob of a name."""


class CannotJudge(Exception):
    """A check cannot be made; the message may be shown: it says what, where and what to do."""


@dataclass(frozen=True)
class Failure:
    """The gate cannot evaluate a Fleet's inputs; `lines` say why."""

    lines: tuple[str, ...]


class NoConfig(Section):
    """Of a rule that has nothing to configure."""


Check = Callable[["ResourceValidationArgs", Any], Iterable[str]]
"""A resource and the rule's configuration → complaints, a line each."""
StackCheck = Callable[[list["PolicyResource"]], Iterable[tuple[str, str]]]
"""The stack's resources → URN and complaint, a pair each."""


@dataclass(frozen=True, kw_only=True)
class ResourceRule(Rule):
    """It stops the resource in preview, in `up`, and in `up --skip-preview`. Exceptions are violations."""

    looks_at: tuple[str, ...]
    """Globs over resource types; of others it is never asked. With "!" before it, a glob says what it leaves out."""
    check: Check
    config: type[NoConfig] = NoConfig
    unknown: Literal["refused", "noted"] = "refused"
    """What becomes of inputs that only `up` knows: violations, or notes in preview while the rule holds in `up`."""


@dataclass(frozen=True, kw_only=True)
class StackRule(Rule):
    """It is asked once, at the end of a preview or an update, about outputs: it fails a preview, and an update that is
    made without one, when that has ended."""

    looks_at: tuple[str, ...]
    """Globs over resource types; it is shown no others."""
    check: StackCheck
    select: Callable[[Any], bool] = lambda resource: True
    """Of these, which it is shown, by the engine's own message (AnalyzerResource): unpacking 200 bundles takes long."""
    elsewhere: Literal["holds", "warns", "silent"] = "holds"
    """What becomes of it in a program that is not ours: one without an Install of ours."""


def looks_at(rule: Any, kind: str) -> bool:
    """Whether a rule of the pack is to be asked about resources of that type."""
    return _matches(kind, rule.looks_at)


@lru_cache(maxsize=4096)
def _matches(kind: str, globs: tuple[str, ...]) -> bool:
    return any(_is(kind, glob) for glob in globs) and not any(
        _is(kind, glob[1:]) for glob in globs if glob.startswith("!")
    )


def _is(kind: str, glob: str) -> bool:
    """`fnmatchcase`, which takes 0.2 ms to make a pattern even of a whole name."""
    return fnmatchcase(kind, glob) if WILD.intersection(glob) else kind == glob


def unknown_value() -> type[Exception]:
    """What the SDK raises for a value that only `up` knows. Only where the SDK is loaded already: a rule is asked."""
    from pulumi_policy.proxy import UnknownValueError  # here, so that rules can be known without the SDK

    return UnknownValueError


def unwrapped(value: Any) -> Any:
    """Proxies as plain dicts and lists. Touches everything, so it raises UnknownValueError if anything is unknown."""
    if isinstance(value, Mapping):
        return {key: unwrapped(value[key]) for key in value}
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    return [unwrapped(item) for item in value]
