"""The plugin with the clouds as they are, for emulators whose machines only exist on paper.

Its clients do not pace themselves, and wait less between two looks, unless PACES=real: tests of what happens need not
wait for it. PACES=real leaves every pause and every rate as it is in service, for what is measured.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module

import providers.renting.until
import providers.transport.transport
from images.remote.waiting import Waiting
from providers import registry
from providers.plugin.credentials import CredentialsHandler
from providers.plugin.handler import Handler
from providers.plugin.node import NodeHandler
from providers.plugin.server import serve
from providers.plugin.values import Plain
from providers.renting.memory import creating
from providers.renting.presence import ending, looking
from providers.transport.transport import Pace
from tests.support.paper import answers_at_once

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
    from tests.clouds.vendors import VENDORS  # the emulators too, which nobody needs where the plugin is measured

    pauses = [(providers.transport.transport, "FIRST_PAUSE_S"), (providers.transport.transport, "LONGEST_PAUSE_S")]
    pauses += [(providers.renting.until, "CONTACT_POLL_S")]
    for vendor in VENDORS.values():
        for module in (import_module(f"{vendor.package}.{part}") for part in ("client", "cloud")):
            pauses += [(module, name) for name in vars(module) if name.endswith("_POLL_S")]
            for pace in vars(module).values():
                if isinstance(pace, Pace):
                    pace.interval_s = 0.0
    for module in (ending, looking, creating, providers.renting.until):
        pauses += [(module, "LOOK_POLL_S")]
    for name in VENDORS:
        type(registry.cloud(name)).visibility_s = 1.0
    for module, name in pauses:
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
