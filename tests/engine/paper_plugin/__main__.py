"""The plugin with the clouds as they are, for emulators whose machines only exist on paper.

Its clients do not pace themselves, and wait less between two looks, unless PACES=real: tests of what happens need not
wait for it. PACES=real leaves every pause and every rate as it is in service, for what is measured.
"""

from __future__ import annotations

import os
import sys

import providers.lambdalabs.client
import providers.lambdalabs.cloud
import providers.rent
import providers.runpod.client
import providers.runpod.cloud
import providers.transport
import providers.vastai.client
import providers.vastai.cloud
from providers import registry
from providers.plugin.credentials import CredentialsHandler
from providers.plugin.handler import Handler
from providers.plugin.node import NodeHandler
from providers.plugin.server import serve
from providers.plugin.values import Plain
from providers.waiting import Waiting
from tests.support.paper import answers_at_once

PACES = (
    providers.lambdalabs.client.PACE,
    providers.lambdalabs.client.LAUNCH_PACE,
    providers.runpod.client.PACE,
    providers.runpod.client.LOOK_PACE,
    providers.vastai.client.PACE,
    providers.vastai.client.CREATE_PACE,
)
SHORT_S = 0.05


class NothingHandler(Handler):
    """A resource that takes no time of its own: what is left is the engine's, the program's and the plugin's."""

    inputs = ()

    def preview(self, olds: Plain, news: Plain) -> Plain:
        return {}

    def create(self, urn: str, news: Plain, waiting: Waiting) -> tuple[str, Plain]:
        return "nothing", {}

    def read(self, resource_id: str, olds: Plain, waiting: Waiting) -> tuple[Plain, Plain]:
        return {}, {}

    def update(self, resource_id: str, olds: Plain, news: Plain, waiting: Waiting) -> Plain:
        return {}

    def delete(self, resource_id: str, olds: Plain, waiting: Waiting) -> None:
        """There is nothing to end."""


def hurry() -> None:
    """Every pause that an emulator without rate limits and boot times does not need."""
    for pace in PACES:
        pace.interval_s = 0.0
    for module, name in (
        (providers.transport, "FIRST_PAUSE_S"),
        (providers.transport, "LONGEST_PAUSE_S"),
        (providers.rent, "CONTACT_POLL_S"),
        (providers.lambdalabs.cloud, "TERMINATE_POLL_S"),
        (providers.runpod.cloud, "TERMINATE_POLL_S"),
        (providers.vastai.cloud, "TERMINATE_POLL_S"),
    ):
        assert hasattr(module, name)
        setattr(module, name, SHORT_S)


if __name__ == "__main__":
    answers_at_once(setattr)
    if os.environ.get("PACES") != "real":
        hurry()
    serve(
        {
            "gpucloud:index:Node": NodeHandler(registry.cloud),
            "gpucloud:index:Credentials": CredentialsHandler(),
            "gpucloud:index:Nothing": NothingHandler(),
        },
        sys.argv[1:],
    )
