"""The plugin with an installer that only writes down what it was asked to do: for tests of the resources themselves.

The bundle of such a test is a dictionary of orders: {"fail": true} fails, {"slow_s": 5} takes its time,
{"when": path} waits until that file is there.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

import providers.plugin.contact
from images.remote.errors import CheckFailed
from images.remote.waiting import Waiting
from providers import registry
from providers.base import Machine, NodeSpec
from providers.clouds.local.cloud import LocalCloud
from providers.errors import NoCapacity
from providers.plugin.contact import FirstContactHandler
from providers.plugin.credentials import CredentialsHandler
from providers.plugin.install import InstallHandler
from providers.plugin.node import NodeHandler
from providers.plugin.server import serve
from providers.plugin.values import Plain
from providers.renting.contact import WayIn
from providers.renting.hostkeys import durable


def write(line: str) -> None:
    with Path(os.environ["INSTALL_LOG"]).open("a") as f:
        f.write(line + "\n")


def contact_on_paper(machine: Machine, ssh_private_key: str, way: WayIn) -> Machine:
    """First contact with a machine at which nobody answers: moto's."""
    write(f"contact {machine.id} {machine.tunnel}".strip())
    host_key = machine.host_key or durable(ssh_private_key, machine.name).public
    return replace(machine, host_key=host_key, supervision=machine.supervision or "systemd")


class RecordingInstaller:
    def install(self, news: Plain, previous_private_key: str | None, waiting: Waiting) -> dict[str, str]:
        write(f"begin {news['serverName']} {news['machine']['id']}")
        if "slow_s" in news["bundle"]:
            waiting.pause(float(news["bundle"]["slow_s"]))
        while "when" in news["bundle"] and not Path(news["bundle"]["when"]).exists():
            waiting.pause(0.05)
        if news["bundle"].get("fail"):
            raise CheckFailed(f"{news['serverName']} is not healthy; the end of its log: no GPU found")
        write(f"end {news['serverName']} {news['machine']['id']}")
        return {}

    def inspect(self, olds: Plain, waiting: Waiting) -> list[str]:
        return ["vllm does not run"] if olds["bundle"].get("sick") else []

    def out_of_rotation(
        self, gateway: Plain, node: str, private_keys: Sequence[str], waiting: Waiting
    ) -> AbstractContextManager[Callable[[], None]]:
        write(f"drain {node} {gateway['id']}")
        return nullcontext(lambda: None)

    def missing(self, gateway: Plain, secret: str, private_keys: Sequence[str], waiting: Waiting) -> str:
        return ""

    def remove(self, olds: Plain, waiting: Waiting) -> None:
        write(f"remove {olds['serverName']} {olds['machine']['id']}")


class ScriptedCloud(LocalCloud):
    """`local` with two orders in the environment: SOLD_OUT names regions that have nothing free; HOLD_AFTER_LAUNCH
    never comes back from a launch, so that the plugin can be killed between the rent and its answer."""

    def launch(self, spec: NodeSpec) -> Machine:
        if spec.region in os.environ.get("SOLD_OUT", "").split():
            raise NoCapacity(f"{spec.region} is sold out")
        machine = super().launch(spec)
        if os.environ.get("HOLD_AFTER_LAUNCH"):
            threading.Event().wait()
        return machine


if __name__ == "__main__":
    scripted = replace(registry.CLOUDS["local"], make=ScriptedCloud.from_environment)
    clouds = {**registry.CLOUDS, "local": scripted}
    registry.CLOUDS = clouds
    vars(providers.plugin.contact)["first_contact"] = contact_on_paper
    serve(
        {
            "gpucloud:index:Node": NodeHandler(registry.cloud),
            "gpucloud:index:Install": InstallHandler(RecordingInstaller(), registry.cloud, tuple(registry.CLOUDS)),
            "gpucloud:index:Credentials": CredentialsHandler(),
            "gpucloud:index:FirstContact": FirstContactHandler(registry.cloud),
        },
        sys.argv[1:],
    )
