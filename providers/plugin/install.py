"""gpucloud:index:Install — a bundle on a machine. Nothing here ever ends the machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import ClassVar, Protocol

from providers.base import GATEWAY_SUFFIX, Machine, MachineState, Owner
from providers.errors import Cancelled, CloudError, Incomplete, InstallFailed, NotFound
from providers.placement import placement
from providers.plugin.handler import Handler, InitFailed
from providers.plugin.node import is_vacant, look
from providers.plugin.values import Plain
from providers.renting.contact import DialFor, directly, identified
from providers.renting.rent import Clouds
from providers.renting.waiting import Locks, Waiting
from strict.names import GATEWAY_PORT, GATEWAY_ROLE


class Installer(Protocol):
    """What brings bundles onto machines. All raise InstallFailed for what can be expected to go wrong."""

    def install(self, news: Plain, previous_private_key: str | None, waiting: Waiting) -> None:
        """Afterwards the bundle is there, runs, and passed its checks."""

    def inspect(self, olds: Plain, waiting: Waiting) -> list[str]:
        """What is not as installed; empty when all is well. Changes nothing."""

    def remove(self, olds: Plain, waiting: Waiting) -> None:
        """Ends the bundle's services. A machine that is gone is fine."""

    def out_of_rotation(
        self, gateway: Plain, node: str, private_keys: Sequence[str], waiting: Waiting
    ) -> AbstractContextManager[None]:
        """Holds the node of that key out of the gateway's rotation; never fails."""


@dataclass(slots=True)
class RollingChange:
    """Changes of one fleet go one by one, and the first failure stops the rest of this run."""

    locks: Locks = field(default_factory=Locks)
    failed: dict[str, str] = field(default_factory=dict)

    def run(self, fleet: str, who: str, change: Callable[[], None], waiting: Waiting) -> None:
        """Raises InstallFailed without changing anything if an earlier change of the fleet failed."""
        with waiting.turn(self.locks[fleet]):
            if fleet in self.failed:
                raise InstallFailed(
                    f"not changed, because the change failed on {self.failed[fleet]} and one broken node is enough: "
                    "mend that, then run `up` again"
                )
            try:
                change()
            except BaseException:
                self.failed[fleet] = who
                raise


class InstallHandler(Handler):
    """Inputs: machine (a node's output), role, fleet (name under which changes go one by one), serverName (in the
    node's certificate), bundle, secrets {name: value}, sshPrivateKey, deadlineS. Outputs: the inputs."""

    inputs = ("machine", "role", "fleet", "serverName", "bundle", "secrets", "sshPrivateKey", "deadlineS")
    replacing = frozenset({"machine.id"})
    silent: ClassVar[frozenset[str]] = frozenset({"deadlineS"})
    secret = frozenset({"secrets", "sshPrivateKey"})

    def __init__(
        self, installer: Installer, clouds: Clouds, cloud_names: Sequence[str], dial_for: DialFor = directly
    ) -> None:
        self.installer = installer
        self.dial_for = dial_for
        self.clouds = clouds
        self.cloud_names = cloud_names
        self.rolling = RollingChange()

    def preview(self, olds: Plain, news: Plain) -> Plain:
        return dict(news)

    def create(self, urn: str, news: Plain, waiting: Waiting) -> tuple[str, Plain]:
        resource_id = f"{news['machine']['id']}/{news['role']}"
        if is_vacant(news["machine"]):
            return resource_id, dict(news)
        try:
            self.installer.install(news, None, waiting)
        except (InstallFailed, Cancelled) as e:
            raise InitFailed(resource_id, news, news, [str(e)]) from e
        return resource_id, dict(news)

    def read(self, resource_id: str, olds: Plain, waiting: Waiting) -> tuple[Plain, Plain] | None:
        if not olds:
            raise NotFound("an Install cannot be imported: `up` finds what is installed and transfers nothing twice")
        if is_vacant(olds["machine"]):
            return {key: olds[key] for key in self.inputs}, olds
        if self._machine_is_gone(olds, waiting):
            return None
        reasons = self.installer.inspect(olds, waiting)
        inputs = {key: olds[key] for key in self.inputs}
        if reasons:
            raise InitFailed(resource_id, olds, inputs, reasons)
        return inputs, olds

    def update(self, resource_id: str, olds: Plain, news: Plain, waiting: Waiting) -> Plain:
        def change() -> None:
            try:
                with self._out_of_rotation(olds, news, waiting):
                    self.installer.install(news, olds.get("sshPrivateKey"), waiting)
            except (InstallFailed, Cancelled) as e:
                # The machine may know the old key only: a new one that is not proved must not displace it.
                kept = {**news, "sshPrivateKey": olds["sshPrivateKey"]}
                raise InitFailed(resource_id, kept, news, [str(e)]) from e

        if not is_vacant(news["machine"]):
            self.rolling.run(news["fleet"], news["serverName"], change, waiting)
        return dict(news)

    def delete(self, resource_id: str, olds: Plain, waiting: Waiting) -> None:
        if is_vacant(olds["machine"]) or self._machine_is_gone(olds, waiting):
            return
        self.installer.remove(olds, waiting)

    @contextmanager
    def _out_of_rotation(self, olds: Plain, news: Plain, waiting: Waiting) -> Iterator[None]:
        """A node's clients go elsewhere while it changes. Its gateways are found by their mark, at run time: the
        gateway depends on the nodes, so no node's inputs can name it."""
        keys = [news["sshPrivateKey"], olds["sshPrivateKey"]]
        with ExitStack() as held:
            owner = None if news["role"] == GATEWAY_ROLE else self._owner(news, waiting)
            if owner is not None:
                for gateway in self._gateways(owner, waiting):
                    known = identified(_gateway_on(gateway), keys, self.dial_for(waiting))
                    held.enter_context(self.installer.out_of_rotation(placement(known), owner.key, keys, waiting))
            yield

    def _gateways(self, owner: Owner, waiting: Waiting) -> list[Machine]:
        found = []
        for name in self.cloud_names:
            try:
                machines = self.clouds(name).list(owner.project)
            except Incomplete as e:
                waiting.say(f"cannot look for a gateway everywhere at {name}: {e}")
                machines = [*e.found]
            except CloudError as e:
                waiting.say(f"cannot look for a gateway at {name}: {e}")
                continue
            found += [
                m
                for m in machines
                if m.owner and (m.owner.project, m.owner.stack) == (owner.project, owner.stack)
                and GATEWAY_PORT in m.ports and m.state is MachineState.RUNNING
            ]  # fmt: skip
        return found

    def _owner(self, values: Plain, waiting: Waiting) -> Owner | None:
        """The mark on the install's machine; None where its cloud cannot show it, which the install will tell."""
        try:
            machine = look(str(values["machine"]["id"]), self.clouds, waiting)
        except CloudError:
            return None
        return None if machine is None else machine.owner

    def _machine_is_gone(self, olds: Plain, waiting: Waiting) -> bool:
        """Told by the cloud alone: a machine that does not answer is not gone."""
        try:
            return look(str(olds["machine"]["id"]), self.clouds, waiting) is None
        except CloudError:
            return False


def _gateway_on(machine: Machine) -> Machine:
    """The machine with the root of its gateway: a machine that serves has another bundle in its own."""
    serves = machine.owner is not None and machine.owner.role != GATEWAY_ROLE
    return replace(machine, root=f"{machine.root}{GATEWAY_SUFFIX}") if serves else machine
