"""Entry of the resource plugin `gpucloud`, and the one place that joins clouds and installer."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager

from images.bundle import Bundle
from images.errors import Cancelled, InstallError
from images.health import inspect
from images.installer import install
from images.placement import Placement
from images.removal import remove
from images.routing import out_of_rotation
from images.sources import REPOSITORY
from providers import errors, registry
from providers.plugin.credentials import CredentialsHandler
from providers.plugin.install import InstallHandler
from providers.plugin.node import NodeHandler
from providers.plugin.server import serve
from providers.plugin.values import Plain
from providers.waiting import Waiting

DRAIN_S = 60
"""How long a node may finish what it has begun before it is changed all the same; its own shutdown adds to that."""


class SshInstaller:
    """`images.installer` in the plugin's words."""

    def install(self, news: Plain, previous_private_key: str | None, waiting: Waiting) -> None:
        try:
            install(
                _placement(news),
                Bundle.from_dict(news["bundle"]),
                news["secrets"],
                news["sshPrivateKey"],
                say=waiting.say,
                cancelled=waiting.cancelled,
                deadline_s=float(news["deadlineS"]),
                previous_private_key=previous_private_key,
                repository=REPOSITORY,
            )
        except Cancelled as e:
            raise errors.Cancelled(str(e)) from e
        except InstallError as e:
            raise errors.InstallFailed(str(e)) from e

    def inspect(self, olds: Plain, waiting: Waiting) -> list[str]:
        try:
            health = inspect(_placement(olds), Bundle.from_dict(olds["bundle"]), olds["secrets"], olds["sshPrivateKey"])
        except InstallError as e:
            return [str(e)]
        return list(health.problems)

    def remove(self, olds: Plain, waiting: Waiting) -> None:
        try:
            remove(
                _placement(olds),
                Bundle.from_dict(olds["bundle"]),
                olds["sshPrivateKey"],
                say=waiting.say,
                cancelled=waiting.cancelled,
            )
        except InstallError as e:
            raise errors.InstallFailed(str(e)) from e

    def out_of_rotation(
        self, gateway: Plain, node: str, private_keys: Sequence[str], waiting: Waiting
    ) -> AbstractContextManager[None]:
        return out_of_rotation(_machine_placement(gateway), node, private_keys, DRAIN_S, waiting.say)


def _placement(values: Plain) -> Placement:
    return _machine_placement(values["machine"], values["serverName"])


def _machine_placement(machine: Plain, server_name: str = "") -> Placement:
    return Placement(
        supervision=machine["supervision"],
        address=machine["address"],
        ssh_port=int(machine["ports"]["ssh"]),
        ssh_user=machine["sshUser"],
        host_key=machine["hostKey"],
        root=machine["root"],
        cache=machine["cache"],
        bind=machine["bind"],
        ports={name: int(port) for name, port in machine["ports"].items()},
        server_name=server_name,
    )


if __name__ == "__main__":
    serve(
        {
            "gpucloud:index:Node": NodeHandler(registry.cloud),
            "gpucloud:index:Install": InstallHandler(SshInstaller(), registry.cloud, tuple(registry.CLOUDS)),
            "gpucloud:index:Credentials": CredentialsHandler(),
        },
        sys.argv[1:],
    )
