"""gpucloud:index:Node — one rented machine. Only `generation` replaces it.

A node may be *vacant*: with `onNoCapacity: degrade`, where no candidate can be had, it exists without a machine, the
rest of the fleet serves, and every `up` tries again. Its id was given before it had a machine, so the machine's id is
always taken from the outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar

from pulumi.provider.experimental.provider import CheckFailure

from providers import registry
from providers.base import Candidate, Capability, Machine, MachineState, Owner
from providers.errors import CloudError, InvalidRequest, NoCapacity, NotFound
from providers.placement import placed, placement
from providers.plugin.handler import Handler, InitFailed
from providers.plugin.values import UNKNOWN, Plain, contains_unknown
from providers.renting.contact import answers_ssh
from providers.renting.naming import machine_name
from providers.renting.rent import Clouds, Kept, Request, admit, await_contact, remembered, rent
from providers.renting.waiting import Waiting

DEFAULT_DEADLINE_S = 1800
"""Lambda's 8-GPU machines boot in 10–15 minutes (facts of the vendor): twice that."""
MADE = ("machine", "failureDomain", "usdPerHour")
VACANT = "vacant"
"""Stands in place of a cloud's name in the id of a node without a machine."""
NO_CAPACITY = ("fail", "degrade")
LOOKS_BEFORE_GONE = 2
"""How often a cloud must say "not found" before a machine counts as gone."""


Capabilities = Callable[[str], frozenset[Capability]]
"""What the cloud of a name can do."""


class NodeHandler(Handler):
    """Inputs: key, role, project, stack, generation, candidates [{cloud, region, sku, maxUsdPerHour, standsFor}],
    ports {service: port}, sshPublicKey, sshPrivateKey, maxPerFailureDomain, deadlineS, onNoCapacity ("fail" or
    "degrade"), settings {cloud: its section of the stack's `clouds`}.

    Outputs: the inputs, and `machine` (all that an install needs), `failureDomain`, `usdPerHour` (decimal string).
    The id is "cloud/machine id", or "vacant/machine name" where the first `up` found no machine.
    """

    inputs = (
        "key",
        "role",
        "project",
        "stack",
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
    silent: ClassVar[frozenset[str]] = frozenset({"deadlineS"})
    secret = frozenset({"sshPrivateKey"})

    def __init__(self, clouds: Clouds, capabilities: Capabilities = registry.capabilities) -> None:
        self.clouds = clouds
        self.capabilities = capabilities

    def check(self, olds: Plain, news: Plain) -> list[CheckFailure]:
        failures = super().check(olds, news)
        for key in ("key", "role", "project", "stack"):
            if key in olds and key in news and olds[key] != news[key]:
                failures.append(
                    CheckFailure(key, f"the {key} of a node never changes: add a new node, then remove this one")
                )
        for key in ("generation", "maxPerFailureDomain", "deadlineS"):
            if news.get(key) not in (None, UNKNOWN) and not _at_least_one(news[key]):
                failures.append(CheckFailure(key, f"{key} must be a number of 1 or more, got {news[key]!r}"))
        if not isinstance(news.get("ports", {}), dict | type(UNKNOWN)):
            failures.append(CheckFailure("ports", "ports must map a service to its port"))
        if news.get("onNoCapacity") not in (None, UNKNOWN, *NO_CAPACITY):
            failures.append(CheckFailure("onNoCapacity", f"onNoCapacity must be one of {', '.join(NO_CAPACITY)}"))
        settings = news.get("settings")
        return failures + self._check_candidates(news.get("candidates"), settings) + self._check_settings(settings)

    def _check_settings(self, settings: Any) -> list[CheckFailure]:
        if settings is None or contains_unknown(settings):
            return []
        failures = []
        for name, section in settings.items():
            try:
                self.clouds(name).check_settings(section)
            except CloudError as e:
                failures.append(CheckFailure(f"settings.{name}", str(e)))
        return failures

    def _check_candidates(self, candidates: Any, settings: Any) -> list[CheckFailure]:
        """Also that a cloud without a section of its own needs none."""
        if candidates is None or contains_unknown(candidates):
            return []
        if not isinstance(candidates, list) or not candidates:
            return [CheckFailure("candidates", "a node needs a list of at least one candidate")]
        failures = []
        judged = None if contains_unknown(settings) else set(settings or ())
        for index, item in enumerate(candidates):
            try:
                cloud = self.clouds(_candidate(item).cloud)
                if Capability.DECLARED in self.capabilities(cloud.name):
                    told = f"a machine at {cloud.name} is a resource of the program, and no rung of a ladder"
                    raise InvalidRequest(told)
                if judged is not None and cloud.name not in judged:
                    judged.add(cloud.name)
                    cloud.check_settings({})
            except CloudError as e:
                failures.append(CheckFailure(f"candidates[{index}]", str(e)))
        return failures

    def unfinished(self, olds: Plain) -> tuple[str, ...]:
        return ("machine",) if is_vacant(olds["machine"]) else ()

    def preview(self, olds: Plain, news: Plain) -> Plain:
        known = {} if not olds or is_vacant(olds["machine"]) else olds
        return {**news, **{key: known.get(key, UNKNOWN) for key in MADE}}

    def create(self, urn: str, news: Plain, waiting: Waiting) -> tuple[str, Plain]:
        try:
            outputs = self._rented(news, waiting)
        except Kept as e:
            raise InitFailed(placement(e.machine)["id"], _outputs(news, e.machine), news, [str(e)]) from e
        return outputs["machine"]["id"], outputs

    def _rented(self, news: Plain, waiting: Waiting) -> Plain:
        """Outputs of a node in contact, or vacant where that is allowed. Raises what `rent` raises."""
        try:
            machine = rent(_request(news), self.clouds, waiting)
        except NoCapacity as e:
            if news["onNoCapacity"] != "degrade":
                raise
            waiting.warn(f"{news['key']} is vacant, and the rest of the fleet serves: {e}. The next `up` tries again")
            return _vacant(news)
        waiting.say(f"in contact with {machine.id} at {machine.address}")
        return _outputs(news, machine)

    def read(self, resource_id: str, olds: Plain, waiting: Waiting) -> tuple[Plain, Plain] | None:
        if olds and is_vacant(olds["machine"]):
            return {key: olds[key] for key in self.inputs}, olds
        machine_id = olds["machine"]["id"] if olds else resource_id
        machine = look(machine_id, self.clouds, waiting)
        if machine is None:
            if not olds:
                raise NotFound(f"there is no machine {resource_id} to import")
            return None
        inputs = {key: olds[key] for key in self.inputs} if olds else _imported(machine)
        machine = _as_in_state(machine, olds)
        outputs = _outputs(inputs, machine)
        try:
            if machine.state is not MachineState.RUNNING:
                raise NotFound(f"machine {machine.id} is {machine.state}: {machine.status}")
            answers_ssh(machine)
            if refusal := admit(machine, self.clouds(machine.cloud)):
                raise refusal
        except CloudError as e:
            raise InitFailed(resource_id, outputs, inputs, [str(e)]) from e
        return inputs, outputs

    def update(self, resource_id: str, olds: Plain, news: Plain, waiting: Waiting) -> Plain:
        if is_vacant(olds["machine"]):
            try:
                return self._rented(news, waiting)
            except Kept as e:
                raise InitFailed(resource_id, _outputs(news, e.machine), news, [str(e)]) from e
        machine_id = olds["machine"]["id"]
        machine = look(machine_id, self.clouds, waiting)
        if machine is None:
            raise NotFound(f"machine {machine_id} is gone: run `pulumi refresh`, then `pulumi up` rents a new one")
        machine = _as_in_state(machine, olds)
        cloud = self.clouds(machine.cloud)
        settings = news["settings"].get(machine.cloud, {})
        try:
            machine = await_contact(machine, cloud, news["sshPrivateKey"], float(news["deadlineS"]), waiting, settings)
        except CloudError as e:
            raise InitFailed(resource_id, _outputs(news, machine), news, [str(e)]) from e
        return _outputs(news, machine)

    def delete(self, resource_id: str, olds: Plain, waiting: Waiting) -> None:
        if is_vacant(olds["machine"]):
            return
        machine_id = olds["machine"]["id"]
        cloud_name, name = _split(machine_id)
        waiting.say(f"ending {machine_id}")
        self.clouds(cloud_name).terminate(name)


def is_vacant(machine: Plain) -> bool:
    """Whether the output `machine` of a node stands for none."""
    return str(machine["id"]).startswith(f"{VACANT}/")


def look(resource_id: str, clouds: Clouds, waiting: Waiting) -> Machine | None:
    """The machine, or None on a repeated not-found. All else that a cloud may say is raised, and is no absence."""
    cloud_name, machine_id = _split(resource_id)
    for attempt in range(LOOKS_BEFORE_GONE):
        try:
            machine = clouds(cloud_name).get(machine_id)
        except NotFound:
            if attempt + 1 < LOOKS_BEFORE_GONE:
                waiting.pause(0.2)
            continue
        return None if machine.state is MachineState.TERMINATED else machine
    return None


def _request(news: Plain) -> Request:
    return Request(
        owner=_owner(news),
        candidates=[_candidate(item) for item in news["candidates"]],
        ssh_public_key=news["sshPublicKey"],
        ssh_private_key=news["sshPrivateKey"],
        ports=news["ports"],
        settings=news["settings"],
        max_per_failure_domain=int(news["maxPerFailureDomain"]),
        deadline_s=float(news["deadlineS"]),
    )


def _owner(news: Plain) -> Owner:
    return Owner(news["project"], news["stack"], news["role"], news["key"], int(news["generation"]))


def _as_in_state(machine: Machine, olds: Plain) -> Machine:
    """The machine with what its first contact told, which the state keeps."""
    if not olds:
        return machine
    before = olds["machine"]
    return remembered(machine, replace(machine, host_key=before["hostKey"], supervision=before["supervision"]))


def _at_least_one(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 1


def _candidate(item: Any) -> Candidate:
    """Raises InvalidRequest for what is no candidate."""
    if not isinstance(item, dict) or not all(isinstance(item.get(key), str) for key in ("cloud", "region", "sku")):
        raise InvalidRequest(f"a candidate needs cloud, region and sku, got {item!r}")
    return Candidate(
        cloud=item["cloud"],
        region=item["region"],
        sku=item["sku"],
        max_usd_per_hour=_ceiling(item.get("maxUsdPerHour")),
        stands_for=item.get("standsFor"),
    )


def _ceiling(given: Any) -> Decimal | None:
    """A number, or a decimal string, as money travels."""
    if given is None:
        return None
    try:
        usd_per_hour = Decimal(str(given))
    except InvalidOperation:
        usd_per_hour = Decimal("NaN")
    if isinstance(given, bool) or not usd_per_hour.is_finite() or usd_per_hour <= 0:
        raise InvalidRequest(f"maxUsdPerHour must be a positive number of USD, got {given!r}")
    return usd_per_hour


def _imported(machine: Machine) -> Plain:
    """The inputs a machine would have been made with, from its mark. What it cannot tell is filled in by `up`."""
    if machine.owner is None:
        raise InvalidRequest(f"machine {machine.id} carries no mark of this project and cannot be imported")
    return {
        "key": machine.owner.key,
        "role": machine.owner.role,
        "project": machine.owner.project,
        "stack": machine.owner.stack,
        "generation": machine.owner.generation,
        "candidates": [{"cloud": machine.cloud, "region": machine.region, "sku": machine.sku}],
        "ports": dict(machine.listen or machine.ports),
        "sshPublicKey": "",
        "sshPrivateKey": "",
        "maxPerFailureDomain": 1,
        "deadlineS": DEFAULT_DEADLINE_S,
        "onNoCapacity": "fail",
        "settings": {},
    }


def _outputs(inputs: Plain, machine: Machine) -> Plain:
    return {
        **inputs,
        "machine": placement(machine),
        "failureDomain": machine.failure_domain,
        "usdPerHour": str(machine.usd_per_hour),
    }


def _vacant(inputs: Plain) -> Plain:
    """Outputs without a machine. It has every port, so that nobody who reads one needs to know of vacancy."""
    name = machine_name(_owner(inputs))
    return _outputs(inputs, placed(VACANT, name, ports=inputs["ports"], bind="", root="", cache=""))


def _split(resource_id: str) -> tuple[str, str]:
    cloud_name, _, machine_id = resource_id.partition("/")
    if not machine_id:
        raise InvalidRequest(f"{resource_id!r} is no id of a node: they look like local/m-1a2b3c4d")
    return cloud_name, machine_id
