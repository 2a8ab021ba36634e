"""Name → cloud, with what it can do as data: to ask for that imports no cloud, so a preview loads only those in use.

A cloud is added by adding a folder and a row here; the contract suite then fails until it behaves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from providers.base import Candidate, Capability, Cloud
from providers.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class CloudRow:
    """One cloud."""

    make: Callable[[], Cloud]
    """The cloud, configured from the environment."""
    capabilities: frozenset[Capability] = frozenset()
    listed: str = ""
    """The module whose `listed` says what a stack makes there besides machines with GPUs and is billed by a list;
    empty where nothing is."""


def _row(module: str, kind: str, *capabilities: Capability, listed: str = "") -> CloudRow:
    """The class `kind` of the module, imported when it is asked for: HTTP and SSH clients take 0.4 s."""

    def make() -> Cloud:
        made: Cloud = getattr(import_module(f"providers.clouds.{module}"), kind).from_environment()
        return made

    return CloudRow(make, frozenset(capabilities), listed)


CLOUDS: Mapping[str, CloudRow] = {
    "aws": _row("aws.cloud", "AwsCloud", Capability.DECLARED, listed="aws.config"),
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


def listed(
    name: str, section: Mapping[str, Any], nodes: Sequence[Candidate], gateway: Candidate | None
) -> list[dict[str, Any]]:
    """What a stack makes at the named cloud besides machines with GPUs and is billed by a list, by its section, its
    nodes and its gateway's machine there: a `BilledResource` each, as plain values. Nothing for a name that is no
    cloud's. Raises Problems."""
    module = CLOUDS[name].listed if name in CLOUDS else ""
    if not module or not (nodes or gateway):
        return []
    found: list[dict[str, Any]] = import_module(f"providers.clouds.{module}").listed(section, nodes, gateway)
    return found


def _known(name: str) -> CloudRow:
    try:
        return CLOUDS[name]
    except KeyError:
        raise InvalidRequest(f"unknown cloud {name!r}: choose one of {', '.join(sorted(CLOUDS))}") from None
