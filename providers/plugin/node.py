"""gpucloud:index:Node — one rented machine. Only `generation` replaces it.

A node may be *vacant*: with `onNoCapacity: degrade`, where no machine can be had, for whatever reason, it exists
without one, the rest of the fleet serves, and every `up` tries again. Its id was given before it had a machine, so the
machine's id is always taken from the outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import ClassVar

from pulumi.provider.experimental.provider import CheckFailure

from images.remote.errors import Cancelled, RemoteError
from images.remote.waiting import Waiting
from providers import registry
from providers.base import Clouds, Machine, MachineState, placed, plain_host
from providers.errors import Gone, InvalidRequest, Missing, NotFound
from providers.plugin import node_inputs
from providers.plugin.handler import Handler, InitFailed
from providers.plugin.machine import VACANT, is_vacant, split
from providers.plugin.node_inputs import STACK_ID, Capabilities
from providers.plugin.values import UNKNOWN, Plain
from providers.renting.answers.price import TooDear, breach
from providers.renting.contact import answers_ssh
from providers.renting.memory.creating import undone
from providers.renting.memory.duds import Duds
from providers.renting.memory.journal import Journal
from providers.renting.naming import machine_name, names_of
from providers.renting.presence.missing import Missed
from providers.renting.rent import rent
from providers.renting.until import Kept, admit, await_contact, remembered

REFUSED = "refused"
"""The output of a machine that was taken over at a price above its ceiling, and has not served: why. One that has
served goes on at any price."""
NEVER_VACANT = (Kept, Cancelled, InvalidRequest)
"""What is told although the rest could serve: there is a machine, a person stopped it, or it can never be rented."""
MADE = ("machine", "failureDomain", "usdPerHour")


class NodeHandler(Handler):
    """Inputs: key, role, project, stack, stackId (the stack's identity), generation, candidates [{cloud, region, sku,
    maxUsdPerHour, standsFor}], ports {service: port}, sshPublicKey, sshPrivateKey, maxPerFailureDomain, deadlineS,
    onNoCapacity ("fail" or "degrade"), settings {cloud: its section of the stack's `clouds`}.

    Outputs: the inputs, and `machine` (all that an install needs), `failureDomain`, `usdPerHour` (decimal string).
    The id is "cloud/machine id", or "vacant/machine name" where the first `up` found no machine.
    """

    inputs = (
        "key",
        "role",
        "project",
        "stack",
        STACK_ID,
        "generation",
        "candidates",
        "ports",
        "sshPublicKey",
        "sshPrivateKey",
        "maxPerFailureDomain",
        "deadlineS",
        "onNoCapacity",
        "settings",
    )
    replacing = frozenset({"generation"})
    silent: ClassVar[frozenset[str]] = frozenset({"deadlineS", STACK_ID})
    secret = frozenset({"sshPrivateKey"})

    def __init__(
        self, clouds: Clouds, capabilities: Capabilities = registry.capabilities,
        duds: Callable[[str, str], Duds] = Duds.of, journals: Callable[[str, str], Journal] = Journal.of,
    ) -> None:  # fmt: skip
        self.clouds = clouds
        self.capabilities = capabilities
        self.duds = duds
        self.journals = journals
        self.missed = Missed(clouds, capabilities)

    def check(self, olds: Plain, news: Plain) -> list[CheckFailure]:
        return super().check(olds, news) + node_inputs.complaints(olds, news, self.clouds, self.capabilities)

    def unfinished(self, olds: Plain) -> tuple[str, ...]:
        return ("machine",) if is_vacant(olds["machine"]) else ()

    def preview(self, olds: Plain, news: Plain) -> Plain:
        known = {} if not olds or is_vacant(olds["machine"]) else olds
        return {**news, **{key: known.get(key, UNKNOWN) for key in MADE}}

    def create(self, urn: str, news: Plain, waiting: Waiting) -> tuple[str, Plain]:
        try:
            outputs = self._rented(news, waiting)
        except Kept as e:
            raise InitFailed(plain_host(e.machine)["id"], _kept(news, e.machine), news, [str(e)]) from e
        return outputs["machine"]["id"], outputs

    def _rented(self, news: Plain, waiting: Waiting) -> Plain:
        """Outputs of a node in contact, or vacant where that is allowed. Raises what `rent` raises."""
        try:
            duds = self.duds(str(news["project"]), str(news["stack"]))
            machine = rent(node_inputs.request(news), self.clouds, waiting, duds, self._journal(news))
        except RemoteError as e:
            if news["onNoCapacity"] != "degrade" or isinstance(e, NEVER_VACANT):
                raise
            waiting.warn(f"{news['key']} is vacant, and the rest of the fleet serves: {e}. The next `up` tries again")
            return _vacant(news)
        waiting.say(f"in contact with {machine.id} at {machine.address}")
        return _outputs(news, machine)

    def read(self, resource_id: str, olds: Plain, waiting: Waiting) -> tuple[Plain, Plain] | None:
        if olds and is_vacant(olds["machine"]):
            return self.inputs_of(olds), olds
        machine_id = olds["machine"]["id"] if olds else resource_id
        try:
            machine = self.missed.look(machine_id, waiting, window_s=None if olds else 0.0)
        except (Gone, Missing) as e:
            if not olds:
                raise NotFound(f"there is no machine {resource_id} to import") from e
            if isinstance(e, Missing) and (why := self._refusal(machine_id, olds, e)):
                raise Missing(why) from e
            self._settled(olds)
            return None
        self._settled(olds)
        inputs = self.inputs_of(olds) if olds else node_inputs.imported(machine)
        machine = _as_in_state(machine, olds)
        why = breach(machine, node_inputs.candidates(inputs)) if olds else ""
        refused = why if REFUSED in olds else ""
        outputs = _outputs(inputs, machine, refused)
        if machine.usd_per_hour is None and olds:
            outputs["usdPerHour"] = olds["usdPerHour"]
        if why and not refused:
            waiting.warn(f"{inputs['key']} serves on: {why}. Raise maxUsdPerHour, or plan its replacement")
        try:
            _hold(machine, refused)
            if machine.state is not MachineState.RUNNING:
                raise NotFound(f"machine {machine.id} is {machine.state}: {machine.status}")
            answers_ssh(machine)
            if refusal := admit(machine, self.clouds(machine.cloud)):
                raise refusal
        except RemoteError as e:
            raise InitFailed(resource_id, outputs, inputs, [str(e)]) from e
        return inputs, outputs

    def _refusal(self, machine_id: str, olds: Plain, missing: Missing) -> str:
        """Why a node whose machine is missing stays in the state; empty where it may leave."""
        rungs = {rung.cloud for rung in node_inputs.candidates(olds)}
        return self.missed.refusal(machine_id, node_inputs.owner(olds), rungs, str(missing))

    def update(self, resource_id: str, olds: Plain, news: Plain, waiting: Waiting) -> Plain:
        if is_vacant(olds["machine"]):
            try:
                return self._rented(news, waiting)
            except Kept as e:
                raise InitFailed(resource_id, _kept(news, e.machine), news, [str(e)]) from e
        machine_id = olds["machine"]["id"]
        try:
            machine = self.missed.look(machine_id, waiting)
        except Gone as e:
            raise NotFound(f"{e}: run `pulumi refresh`, then `pulumi up` rents a new one") from e
        except Missing as e:
            why = self._refusal(machine_id, olds, e) or f"{e}: run `pulumi refresh`, then `pulumi up`"
            raise NotFound(why) from e
        self._settled(olds)
        machine = _as_in_state(machine, olds)
        cloud = self.clouds(machine.cloud)
        settings = news["settings"].get(machine.cloud, {})
        refused = breach(machine, node_inputs.candidates(news)) if REFUSED in olds else ""
        try:
            _hold(machine, refused)
            machine = await_contact(machine, cloud, news["sshPrivateKey"], float(news["deadlineS"]), waiting, settings)
        except RemoteError as e:
            raise InitFailed(resource_id, _outputs(news, machine, refused), news, [str(e)]) from e
        return _outputs(news, machine)

    def delete(self, resource_id: str, olds: Plain, waiting: Waiting) -> None:
        """Ends also what came of a create that was cut off: a vacant node, too, may have begun one."""
        journal = self._journal(olds)
        if not is_vacant(olds["machine"]):
            machine_id = olds["machine"]["id"]
            cloud_name, name = split(machine_id)
            waiting.say(f"ending {machine_id}")
            self.clouds(cloud_name).terminate(name, journal.age_of(cloud_name, name))
            self._settled(olds)
        undone(journal.open(names_of(node_inputs.owner(olds))), self.clouds, waiting, journal)

    def _journal(self, values: Plain) -> Journal:
        return self.journals(str(values["project"]), str(values["stack"]))

    def _settled(self, olds: Plain) -> None:
        """The state holds this machine, or it is gone: whatever created it is done."""
        if olds:
            self._journal(olds).settled(*split(olds["machine"]["id"]))


def _hold(machine: Machine, refused: str) -> None:
    if refused:
        raise TooDear(f"{refused}: raise maxUsdPerHour, or end it in the console of {machine.cloud}")


def _as_in_state(machine: Machine, olds: Plain) -> Machine:
    """The machine with what its first contact told, which the state keeps; and its way in, while its cloud's row of it
    cannot be read."""
    if not olds:
        return machine
    before = olds["machine"]
    if machine.state is MachineState.UNKNOWN and not machine.address:
        machine = replace(machine, address=before["address"], ports=before["ports"], listen=before["listen"])
    return remembered(machine, replace(machine, host_key=before["hostKey"], supervision=before["supervision"]))


def _outputs(inputs: Plain, machine: Machine, refused: str = "") -> Plain:
    return {
        **inputs,
        "machine": plain_host(machine),
        "failureDomain": machine.failure_domain,
        "usdPerHour": "" if machine.usd_per_hour is None else str(machine.usd_per_hour),
        **({REFUSED: refused} if refused else {}),
    }


def _kept(inputs: Plain, machine: Machine) -> Plain:
    """Outputs of a machine that is kept and has not served; with why it may not at its price, where it may not."""
    return _outputs(inputs, machine, breach(machine, node_inputs.candidates(inputs)))


def _vacant(inputs: Plain) -> Plain:
    """Outputs without a machine. It has every port, so that nobody who reads one needs to know of vacancy."""
    name = machine_name(node_inputs.owner(inputs))
    nothing = placed(VACANT, name, ports=inputs["ports"], bind="", root="", cache="")
    return _outputs(inputs, replace(nothing, usd_per_hour=Decimal(0)))
