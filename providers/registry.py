"""Name → cloud. A cloud is added by adding a folder and a line here; the contract suite then fails until it behaves."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from providers.base import Cloud
from providers.errors import InvalidRequest
from providers.existing.cloud import ExistingCloud
from providers.lambdalabs.cloud import LambdaCloud
from providers.local.cloud import LocalCloud
from providers.runpod.cloud import RunpodCloud
from providers.vastai.cloud import VastaiCloud

CLOUDS: Mapping[str, Callable[[], Cloud]] = {
    "existing": ExistingCloud.from_environment,
    "lambda": LambdaCloud.from_environment,
    "local": LocalCloud.from_environment,
    "runpod": RunpodCloud.from_environment,
    "vastai": VastaiCloud.from_environment,
}


def cloud(name: str) -> Cloud:
    """The named cloud, configured from the environment. Raises InvalidRequest with the names that exist."""
    try:
        return CLOUDS[name]()
    except KeyError:
        raise InvalidRequest(f"unknown cloud {name!r}: choose one of {', '.join(sorted(CLOUDS))}") from None
