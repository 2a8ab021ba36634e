"""Entry of the resource plugin `gpucloud`, and the one place that joins clouds and installer."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from images.bundle import Bundle
from images.remote.errors import Cancelled, InstallError, Unreachable
from images.remote.host import Placement
from images.remote.tunnel import Tunnel
from images.sources import REPOSITORY
from images.vehicles.ssh.drain import out_of_rotation
from images.vehicles.ssh.health import inspect
from images.vehicles.ssh.install import install
from images.vehicles.ssh.remove import remove
from providers import errors, registry
from providers.base import Machine
from providers.clouds.aws import session
from providers.plugin.credentials import CredentialsHandler
from providers.plugin.first_contact import FirstContactHandler
from providers.plugin.install import InstallHandler
from providers.plugin.node import NodeHandler
from providers.plugin.server import serve
from providers.plugin.values import Plain
from providers.renting.contact import Dial, direct
from providers.renting.waiting import Waiting
from strict import names

DRAIN_S = 60
"""How long a node may finish what it has begun before it is changed all the same; its own shutdown adds to that."""


@contextmanager
def in_the_plugins_words() -> Iterator[None]:
    """The installer's errors as the plugin's."""
    try:
        yield
    except Cancelled as e:
        raise errors.Cancelled(str(e)) from e
    except InstallError as e:
        raise errors.InstallFailed(str(e)) from e


class SshInstaller:
    """`images.vehicles.ssh.install` for the plugin."""

    def install(self, news: Plain, previous_private_key: str | None, waiting: Waiting) -> None:
        with in_the_plugins_words():
            install(
                _placement(news["machine"], news["serverName"]),
                Bundle.from_dict(news["bundle"]),
                news["secrets"],
                news["sshPrivateKey"],
                say=waiting.say,
                cancelled=waiting.cancelled,
                deadline_s=float(news["deadlineS"]),
                previous_private_key=previous_private_key,
                repository=REPOSITORY,
            )

    def inspect(self, olds: Plain, waiting: Waiting) -> list[str]:
        placement = _placement(olds["machine"], olds["serverName"])
        try:
            health = inspect(placement, Bundle.from_dict(olds["bundle"]), olds["secrets"], olds["sshPrivateKey"])
        except InstallError as e:
            return [str(e)]
        return list(health.problems)

    def remove(self, olds: Plain, waiting: Waiting) -> None:
        with in_the_plugins_words():
            remove(
                _placement(olds["machine"], olds["serverName"]),
                Bundle.from_dict(olds["bundle"]),
                olds["sshPrivateKey"],
                say=waiting.say,
                cancelled=waiting.cancelled,
            )

    @contextmanager
    def out_of_rotation(
        self, gateway: Plain, node: str, private_keys: Sequence[str], waiting: Waiting
    ) -> Iterator[None]:
        placement = _placement(gateway)
        with in_the_plugins_words():
            with out_of_rotation(placement, node, private_keys, DRAIN_S, waiting.say, waiting.cancelled):
                yield


def dial_for(waiting: Waiting) -> Dial:
    """Through a machine's tunnel where it has one, which the caller's interruption ends."""

    @contextmanager
    def dial(machine: Machine, timeout_s: float) -> Iterator[socket.socket]:
        command = _command(machine.tunnel, machine.ports["ssh"])
        if not command:
            with direct(machine, timeout_s) as sock:
                yield sock
            return
        try:
            tunnel = Tunnel.open(command, cancelled=waiting.cancelled)
        except Unreachable as e:
            raise (errors.Unauthorized if session.refused(str(e)) else errors.Unavailable)(str(e)) from e
        except Cancelled as e:
            raise errors.Cancelled(str(e)) from e
        with tunnel:
            yield tunnel.socket

    return dial


def _command(tunnel: str, port: int) -> tuple[str, ...]:
    """What is run to reach the machine; empty where its address answers. Raises InvalidRequest if it cannot be run."""
    if tunnel:
        session.require_programs()
    return session.command(tunnel, port)


def _placement(machine: Plain, server_name: str = "") -> Placement:
    return Placement(
        supervision=machine["supervision"],
        address=machine["address"],
        ssh_port=int(machine["ports"]["ssh"]),
        ssh_user=machine["sshUser"],
        host_key=machine["hostKey"],
        root=machine["root"],
        cache=machine["cache"],
        bind=machine["bind"],
        ports={name: int(port) for name, port in machine["listen"].items()},
        server_name=server_name,
        tunnel=_command(machine.get("tunnel", ""), machine["ports"]["ssh"]),
        scratch=machine.get("scratch", ""),
    )


if __name__ == "__main__":
    serve(
        {
            names.NODE: NodeHandler(registry.cloud),
            names.INSTALL: InstallHandler(SshInstaller(), registry.cloud, tuple(registry.CLOUDS), dial_for),
            names.FIRST_CONTACT: FirstContactHandler(dial_for),
            names.CREDENTIALS: CredentialsHandler(),
        },
        sys.argv[1:],
    )
