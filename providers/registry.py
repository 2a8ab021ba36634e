"""Name → cloud, with what it can do as data: to ask for that imports no cloud, so a preview loads only those in use.

A cloud is added by adding a folder and a row here; the contract suite then fails until it behaves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module

from providers.base import Capability, Cloud
from providers.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class CloudRow:
    """One cloud."""

    make: Callable[[], Cloud]
    """The cloud, configured from the environment."""
    capabilities: frozenset[Capability] = frozenset()


def _row(module: str, kind: str, *capabilities: Capability) -> CloudRow:
    """The class `kind` of the module, imported when it is asked for: HTTP and SSH clients take 0.4 s."""

    def make() -> Cloud:
        made: Cloud = getattr(import_module(f"providers.clouds.{module}"), kind).from_environment()
        return made

    return CloudRow(make, frozenset(capabilities))


CLOUDS: Mapping[str, CloudRow] = {
    "aws": _row("aws.cloud", "AwsCloud", Capability.DECLARED),
    "existing": _row("existing.cloud", "ExistingCloud", Capability.OWNED),
    "lambda": _row("lambdalabs.cloud", "LambdaCloud"),
    "local": _row("local.cloud", "LocalCloud", Capability.BILLS_NOTHING, Capability.THIS_COMPUTER),
    "runpod": _row("runpod.cloud", "RunpodCloud", Capability.CONTAINER),
    "vastai": _row("vastai.cloud", "VastaiCloud", Capability.CONTAINER),
}
NAMES = tuple(sorted(CLOUDS))
"""Every cloud that a stack can name."""


def capabilities(name: str) -> frozenset[Capability]:
    """What the named cloud can do; imports no cloud. Raises InvalidRequest."""
    return _known(name).capabilities


def can(name: str, capability: Capability) -> bool:
    """Whether it is one of the named cloud's capabilities; False for a name that is no cloud's."""
    return name in CLOUDS and capability in CLOUDS[name].capabilities


def cloud(name: str) -> Cloud:
    """The named cloud, configured from the environment. Raises InvalidRequest with the names that exist."""
    return _known(name).make()


def _known(name: str) -> CloudRow:
    try:
        return CLOUDS[name]
    except KeyError:
        raise InvalidRequest(f"unknown cloud {name!r}: choose one of {', '.join(sorted(CLOUDS))}") from None
