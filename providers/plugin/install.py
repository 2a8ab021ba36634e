"""gpucloud:index:Install — a bundle on a machine. Nothing here ever ends the machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, ClassVar, Protocol

from images.bundle import Bundle
from images.remote.errors import RemoteError
from images.remote.host import Host
from images.remote.waiting import Waiting
from images.sources import REPOSITORY, located
from images.vehicles.ssh import inspect, install, remove
from images.vehicles.ssh.drain import out_of_rotation, shows
from images.weights.sharing import Sharing
from images.weights.siblings import Siblings
from providers.base import Clouds, Owner, plain_host
from providers.errors import CloudError, NotFound
from providers.plugin.handler import Handler, InitFailed
from providers.plugin.machine import gateways_of, host_of, is_vacant, look, owner_of, siblings_of
from providers.plugin.node_inputs import STACK_ID
from providers.plugin.turns.rolling import RollingChange
from providers.plugin.values import Plain
from providers.renting.contact import WayIn, identified, tunnel_to
from strict.names import GATEWAY_ROLE

DRAIN_S = 60
"""How long a node may finish what it has begun before it is changed all the same; its own shutdown adds to that."""

ASKING_S = 30
"""For one question to a gateway."""
CLIENTS_SHOW = "clients_show"
"""The bundle's field of that name."""
POSTPONED = (
    "left as it is, and serving: it is to let only those in who show the stack's client certificate, and a gateway "
    "does not show it yet ({gateway}). Once this `up` has changed the gateway, run `up` again for the nodes"
)
FOUND = "found"
"""The output that says what the machine turned out to have."""


class Installer(Protocol):
    """What brings bundles onto machines. All raise RemoteError for what can be expected to go wrong."""

    def install(self, news: Plain, previous_private_key: str | None, waiting: Waiting) -> Mapping[str, str]:
        """Afterwards the bundle is there, runs, and passed its checks. Returns what the machine turned out to have."""

    def inspect(self, olds: Plain, waiting: Waiting) -> list[str]:
        """What is not as installed; empty when all is well. Changes nothing."""

    def remove(self, olds: Plain, waiting: Waiting) -> None:
        """Ends the bundle's services. A machine that is gone is fine."""

    def out_of_rotation(
        self, gateway: Plain, node: str, private_keys: Sequence[str], waiting: Waiting
    ) -> AbstractContextManager[Callable[[], None]]:
        """Holds the node of that key out of the gateway's rotation; never fails. The block calls what it is given once
        the node serves again, and then ends when the gateway has seen it."""

    def missing(self, gateway: Plain, secret: str, private_keys: Sequence[str], waiting: Waiting) -> str:
        """Why the gateway does not show nodes that certificate; empty where it does, or none runs there."""


class InstallHandler(Handler):
    """Inputs: machine (a node's output), role, fleet (a change that fails stops the rest of it), serverName (in its
    certificate), bundle, secrets {name: value}, sshPrivateKey, stackId, deadlineS.

    Outputs: the inputs, and `found`: what the machine turned out to have, for people."""

    inputs = ("machine", "role", "fleet", "serverName", "bundle", "secrets", "sshPrivateKey", STACK_ID, "deadlineS")
    replacing = frozenset({"machine.id"})
    silent: ClassVar[frozenset[str]] = frozenset({"deadlineS", STACK_ID})
    secret = frozenset({"secrets", "sshPrivateKey"})

    def __init__(self, installer: Installer, clouds: Clouds, cloud_names: Sequence[str]) -> None:
        self.installer = installer
        self.clouds = clouds
        self.cloud_names = cloud_names
        self.rolling = RollingChange()

    def compared(self, values: Plain) -> Plain:
        """Where in the repository a file lies is told, and is no difference: its hash says what is installed."""
        bundle = values.get("bundle")
        return {**values, "bundle": _anywhere(bundle)} if isinstance(bundle, dict) else values

    def preview(self, olds: Plain, news: Plain) -> Plain:
        return _with(news, olds.get(FOUND))

    def create(self, urn: str, news: Plain, waiting: Waiting) -> tuple[str, Plain]:
        resource_id = f"{news['machine']['id']}/{news['role']}"
        if is_vacant(news["machine"]):
            return resource_id, dict(news)
        try:
            found = self.installer.install(news, None, waiting)
        except CloudError:
            raise  # there is no way to the machine, and nothing was tried
        except RemoteError as e:
            raise InitFailed(resource_id, news, news, [str(e)]) from e
        return resource_id, _with(news, found)

    def read(self, resource_id: str, olds: Plain, waiting: Waiting) -> tuple[Plain, Plain] | None:
        if not olds:
            raise NotFound("an Install cannot be imported: `up` finds what is installed and transfers nothing twice")
        if is_vacant(olds["machine"]):
            return self.inputs_of(olds), olds
        if self._machine_is_gone(olds, waiting):
            return None
        reasons = self.installer.inspect(olds, waiting)
        inputs = self.inputs_of(olds)
        if reasons:
            raise InitFailed(resource_id, olds, inputs, reasons)
        return inputs, olds

    def update(self, resource_id: str, olds: Plain, news: Plain, waiting: Waiting) -> Plain:
        found: dict[str, str] = {}
        behind: list[str] = []

        def change() -> None:
            if late := self._gateway_behind(olds, news, waiting):
                behind.append(late)
                return
            found.update(self._change(resource_id, olds, news, waiting))

        if not is_vacant(news["machine"]):
            self.rolling.run(news["fleet"], news["serverName"], change, waiting)
        if behind:
            waiting.warn(POSTPONED.format(gateway=behind[0]))
            return dict(olds)  # so that the next `up` sees the difference
        return _with(news, found)

    def delete(self, resource_id: str, olds: Plain, waiting: Waiting) -> None:
        if is_vacant(olds["machine"]) or self._machine_is_gone(olds, waiting):
            return
        self.installer.remove(olds, waiting)

    def _change(self, resource_id: str, olds: Plain, news: Plain, waiting: Waiting) -> Mapping[str, str]:
        """What the machine turned out to have. Raises InitFailed where the change began and did not end well."""
        try:
            with self.out_of_rotation(olds, news, waiting) as serves:
                found = self.installer.install(news, olds.get("sshPrivateKey"), waiting)
                serves()
            return found
        except CloudError:
            raise
        except RemoteError as e:
            # The machine may know the old key only: a new one that is not proved must not displace it.
            kept = {**news, "sshPrivateKey": olds["sshPrivateKey"]}
            raise InitFailed(resource_id, kept, news, [str(e)]) from e

    @contextmanager
    def out_of_rotation(self, olds: Plain, news: Plain, waiting: Waiting) -> Iterator[Callable[[], None]]:
        """A node's clients go elsewhere while it changes: by the values of an Install, or of a Node. The block calls
        what it is given once the node serves again, and then ends when every gateway has seen it."""
        keys = _each_once(news["sshPrivateKey"], olds["sshPrivateKey"])
        with ExitStack() as held:
            owner = None if news["role"] == GATEWAY_ROLE else owner_of(news, self.clouds, waiting)
            told = []
            for gateway in self._gateways(owner, keys, waiting):
                assert owner is not None
                told.append(held.enter_context(self.installer.out_of_rotation(gateway, owner.key, keys, waiting)))

            def serves() -> None:
                for tell in told:
                    tell()

            yield serves

    def _gateway_behind(self, olds: Plain, news: Plain, waiting: Waiting) -> str:
        """Which gateway does not show a certificate that the node asks for from now on, and why; empty if none.

        Waiting here would be for ever: a gateway's change comes after those of the nodes, because a component waits for
        what another one holds.
        """
        secret = news["bundle"].get(CLIENTS_SHOW)
        if not secret or secret == olds["bundle"].get(CLIENTS_SHOW):
            return ""
        keys = _each_once(news["sshPrivateKey"], olds["sshPrivateKey"])
        for gateway in self._gateways(owner_of(news, self.clouds, waiting), keys, waiting):
            if missing := self.installer.missing(gateway, secret, keys, waiting.within(ASKING_S)):
                return f"{gateway['address']}: {missing}"
        return ""

    def _gateways(self, owner: Owner | None, keys: Sequence[str], waiting: Waiting) -> Iterator[Plain]:
        """Those of the owner's stack, as hosts that were met."""
        for gateway in gateways_of(owner, self.clouds, self.cloud_names, waiting) if owner else ():
            way = WayIn(tunnel_to(gateway, self.clouds), waiting.cancelled)
            yield plain_host(identified(gateway, keys, way))

    def _machine_is_gone(self, olds: Plain, waiting: Waiting) -> bool:
        """Told by the cloud alone: a machine that does not answer is not gone."""
        try:
            return look(str(olds["machine"]["id"]), self.clouds, waiting) is None
        except RemoteError:
            return False


def _each_once(*keys: str) -> list[str]:
    """A machine that does not answer is not asked twice with one key."""
    return list(dict.fromkeys(keys))


def _with(news: Plain, found: Mapping[str, str] | None) -> Plain:
    """The outputs."""
    return {**news, FOUND: dict(found)} if found else dict(news)


def _anywhere(value: Any) -> Any:
    """A bundle without the places in the repository that it was made from: `source` beside a `sha256`."""
    if isinstance(value, dict):
        left_out = {"source"} if "sha256" in value else set()
        return {key: _anywhere(item) for key, item in value.items() if key not in left_out}
    return [_anywhere(item) for item in value] if isinstance(value, list) else value


class SshInstaller:
    """`images.vehicles.ssh` for the plugin."""

    def __init__(self, clouds: Clouds) -> None:
        self.clouds = clouds
        self.sharing = Sharing()

    def install(self, news: Plain, previous_private_key: str | None, waiting: Waiting) -> Mapping[str, str]:
        return install(
            host_of(news["machine"], self.clouds, news["serverName"]),
            Bundle.from_dict(news["bundle"]),
            news["secrets"],
            news["sshPrivateKey"],
            say=waiting.say,
            cancelled=waiting.cancelled,
            deadline_s=float(news["deadlineS"]),
            previous_private_key=previous_private_key,
            repository=REPOSITORY,
            siblings=self._siblings(news, waiting),
        ).found

    def inspect(self, olds: Plain, waiting: Waiting) -> list[str]:
        try:
            bundle = located(Bundle.from_dict(olds["bundle"]))
            host = host_of(olds["machine"], self.clouds, olds["serverName"])
            return list(inspect(host, bundle, olds["secrets"], olds["sshPrivateKey"]).problems)
        except CloudError:
            raise
        except RemoteError as e:
            return [str(e)]

    def remove(self, olds: Plain, waiting: Waiting) -> None:
        remove(
            host_of(olds["machine"], self.clouds, olds["serverName"]),
            Bundle.from_dict(olds["bundle"]),
            olds["sshPrivateKey"],
            say=waiting.say,
            cancelled=waiting.cancelled,
        )

    def out_of_rotation(
        self, gateway: Plain, node: str, private_keys: Sequence[str], waiting: Waiting
    ) -> AbstractContextManager[Callable[[], None]]:
        host = host_of(gateway, self.clouds)
        return out_of_rotation(host, node, private_keys, DRAIN_S, waiting.say, waiting.cancelled)

    def missing(self, gateway: Plain, secret: str, private_keys: Sequence[str], waiting: Waiting) -> str:
        return shows(host_of(gateway, self.clouds), secret, private_keys, waiting)

    def _siblings(self, news: Plain, waiting: Waiting) -> Siblings:
        """The other machines of the fleet at the node's own cloud."""
        machine_id, key = str(news["machine"]["id"]), news["sshPrivateKey"]

        def find() -> Iterator[Host]:
            for other in siblings_of(machine_id, key, self.clouds, waiting, news.get(STACK_ID, "")):
                yield host_of(plain_host(other), self.clouds)

        return Siblings(self.sharing, news["fleet"], key, find)
