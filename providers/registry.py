"""Name → cloud. A cloud is added by adding a folder and a line here; the contract suite then fails until it behaves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module

from providers.base import Capability, Cloud
from providers.errors import InvalidRequest


def _first_use(module: str, kind: str) -> Callable[[], Cloud]:
    """Imports the cloud when it is asked for: every preview comes by here, and HTTP and SSH clients take 0.4 s."""

    def make() -> Cloud:
        made: Cloud = getattr(import_module(module), kind).from_environment()
        return made

    return make


AWS = "aws"
"""Its machines are the program's own resources (`Capability.DECLARED`), which `stacks` makes from providers/aws."""
CLOUDS: Mapping[str, Callable[[], Cloud]] = {
    AWS: _first_use("providers.clouds.aws.cloud", "AwsCloud"),
    "existing": _first_use("providers.clouds.existing.cloud", "ExistingCloud"),
    "lambda": _first_use("providers.clouds.lambdalabs.cloud", "LambdaCloud"),
    "local": _first_use("providers.clouds.local.cloud", "LocalCloud"),
    "runpod": _first_use("providers.clouds.runpod.cloud", "RunpodCloud"),
    "vastai": _first_use("providers.clouds.vastai.cloud", "VastaiCloud"),
}
NAMES = tuple(sorted(CLOUDS))
"""Every cloud that a stack can name."""


def capabilities(name: str) -> frozenset[Capability]:
    """What the named cloud can do. Raises InvalidRequest."""
    return cloud(name).capabilities


def cloud(name: str) -> Cloud:
    """The named cloud, configured from the environment. Raises InvalidRequest with the names that exist."""
    try:
        return CLOUDS[name]()
    except KeyError:
        raise InvalidRequest(f"unknown cloud {name!r}: choose one of {', '.join(sorted(CLOUDS))}") from None
