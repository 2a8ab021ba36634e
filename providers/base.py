"""The vocabulary that every cloud speaks: Offer, NodeSpec, Machine, Capability and the Cloud protocol."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from strict.names import GATEWAY_PORT, SERVING_PORT, SSH_PORT

GATEWAY_SUFFIX = "-gateway"
"""Follows a serving machine's root where that machine carries a gateway too."""
EXPOSED = (SSH_PORT, SERVING_PORT, GATEWAY_PORT)
"""Services that listen to the outside; every other one listens on loopback, and no firewall needs to know it."""


class Capability(StrEnum):
    """How a cloud differs, by what it can do and never by its name."""

    CONTAINER = "container"
    """It rents containers, which cannot carry the gateway."""
    BILLS_NOTHING = "bills-nothing"
    """An hour here costs nothing at all (`local`): every price is zero, and prices of what it stands for only warn."""
    THIS_COMPUTER = "this-computer"
    """Its machines are folders of this computer, reached over loopback: nothing of theirs crosses a network."""
    DECLARED = "declared"
    """Machines are resources of the program's own (`pulumi_aws`): the plugin finds and ends them, and launches none."""
    OWNED = "owned"
    """Machines are there before and after: ending one only releases it, so what is on it must be removed first."""


class MachineState(StrEnum):
    """A vendor's state string maps to one of these; an unknown string is UNKNOWN and crashes nothing."""

    PENDING = "pending"
    RUNNING = "running"
    STOPPED = "stopped"
    TERMINATING = "terminating"
    TERMINATED = "terminated"
    UNKNOWN = "unknown"


ALIVE = frozenset({MachineState.PENDING, MachineState.RUNNING, MachineState.STOPPED, MachineState.UNKNOWN})
"""A machine that holds its place among its siblings."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One rung of a node's ladder."""

    cloud: str
    region: str
    sku: str
    max_usd_per_hour: Decimal | None = None
    stands_for: str | None = None
    """`local` only: the catalogue key (cloud/sku) whose price and throughput the gate reckons with."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What a cloud would rent now."""

    cloud: str
    region: str
    sku: str
    usd_per_hour: Decimal | None
    """None where the cloud does not tell it; `description` then says why."""
    available: bool | None
    """None where only a launch tells."""
    gpus: int
    gpu_memory_gib: int
    description: str = ""
    zones: tuple[str, ...] = ()
    """Those of the region that offer it, where the cloud tells."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The ownership mark put on every machine: who may adopt it, and who its siblings are."""

    project: str
    stack: str
    role: str
    """"inference" or "gateway": failure domains are counted among machines of one role."""
    key: str
    generation: int
    stack_id: str = ""
    """The stack's identity, made once with its credentials; "" in a mark of before there was one."""

    @property
    def fleet(self) -> tuple[str, str, str]:
        """What siblings are called."""
        return (self.project, self.stack, self.role)

    def same_name(self, other: Owner) -> bool:
        """Whether both stacks are called alike, whoever's they are."""
        return (self.project, self.stack) == (other.project, other.stack)

    def same_stack(self, other: Owner) -> bool:
        """Whether both are of one stack. A mark of before identities tells a name alone, and is taken by it."""
        return self.same_name(other) and ("" in (self.stack_id, other.stack_id) or self.stack_id == other.stack_id)

    def same_fleet(self, other: Owner) -> bool:
        """Whether both are nodes of one fleet."""
        return self.role == other.role and self.same_stack(other)

    def plain(self) -> dict[str, str | int]:
        """Its fields, as a file keeps them; `Owner(**…)` is the inverse, also of a file of before identities."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class HostKey:
    """An Ed25519 pair in OpenSSH's formats."""

    private: str
    public: str
    """"ssh-ed25519 AAAA…", no comment."""


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """What to rent. `name` is deterministic (`renting/naming.py`), so that a lost create is found again by it."""

    name: str
    owner: Owner
    region: str
    sku: str
    ssh_public_key: str
    ports: Mapping[str, int] = field(default_factory=dict)
    """Service name → the port it has on a machine that has its network to itself, e.g. {"ssh": 22, "vllm": 8000}."""
    max_usd_per_hour: Decimal | None = None
    """Above it the cloud must not rent: NoCapacity, so that the next candidate is tried."""
    host_key: HostKey | None = None
    """The one-use SSH host key that the machine must boot with, where the cloud cannot report the machine's own."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """The stack's `clouds.<cloud>` section, camelCase, as the cloud's `check_settings` accepts it."""
    full: frozenset[str] = frozenset()
    """Failure domains that hold as many of the fleet's nodes as they may, for a region that leaves a choice of them."""
    left_out: frozenset[str] = frozenset()
    """What had a dud (`Machine.blame`): a cloud that has a choice takes none of them."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine as the cloud reports it."""

    id: str
    name: str
    cloud: str
    region: str
    sku: str
    owner: Owner | None
    state: MachineState
    failure_domain: str
    usd_per_hour: Decimal | None
    """0 where it costs nothing; None where the cloud tells none (`renting/answers/price.py`)."""
    created_at: str
    """RFC 3339, UTC."""
    address: str | None = None
    """Where the gateway and the installer reach it; None while it boots."""
    ports: Mapping[str, int] = field(default_factory=dict)
    """Service name → the port under which it is reached at `address`."""
    listen: Mapping[str, int] = field(default_factory=dict)
    """Service name → the port it listens on inside, where that is another one (a container's); empty: `ports`."""
    bind: str = "0.0.0.0"
    """What services on it listen on."""
    ssh_user: str = ""
    host_key: str = ""
    """The one SSH host key that is accepted, "ssh-ed25519 AAAA…"; empty where the cloud cannot tell: it was launched
    with `NodeSpec.host_key`, and first contact settles it."""
    root: str = "/opt/crossover"
    """The folder on the machine that holds all of ours."""
    cache: str = "/var/cache/crossover"
    """The folder on the machine that keeps Python environments between installs."""
    supervision: str = ""
    """What keeps services alive there: "systemd" or "supervisor"; empty until first contact where the cloud cannot
    tell."""
    tunnel: str = ""
    """How SSH gets there where no port is open: `ssm:<region>/<instance id>` (providers/clouds/aws/session.py)."""
    scratch: str = ""
    """Where its fast disks may be mounted, which a stop empties."""
    weights_root: str = ""
    """Where the vendor mounts the volume for models' files that the settings ask for; empty without one."""
    loses_disk: bool = False
    """A container: when it is stopped or reset its disk is lost, and with it the host key of first contact."""
    status: str = ""
    """The vendor's own words, for people."""
    blame: str = ""
    """What is left out for a day if this machine is a dud, a path from the cloud down: a host, a region, its SKU. Empty
    where another machine would be no other one."""


def plain_host(machine: Machine) -> dict[str, Any]:
    """What an install needs to know of the machine, as the plain value that travels through the engine. Nothing that
    changes while the machine lives; `tunnel`, `scratch` and `weightsRoot` only where it has one."""
    rare = {"tunnel": machine.tunnel, "scratch": machine.scratch, "weightsRoot": machine.weights_root}
    return {
        "id": f"{machine.cloud}/{machine.id}",
        "address": machine.address or "",
        "ports": dict(machine.ports),
        "listen": dict(machine.listen or machine.ports),
        "bind": machine.bind,
        "sshUser": machine.ssh_user,
        "hostKey": machine.host_key,
        "root": machine.root,
        "cache": machine.cache,
        "supervision": machine.supervision,
        **{key: value for key, value in rare.items() if value},
    }


def placed(cloud: str, machine_id: str, name: str = "", **known: Any) -> Machine:
    """A machine of which no more is known than `known`, in the words of Machine."""
    return Machine(
        id=machine_id, name=name, cloud=cloud, region="", sku="", owner=None, state=MachineState.UNKNOWN,
        failure_domain="", usd_per_hour=None, created_at="", **known,
    )  # fmt: skip


class Cloud(Protocol):
    """What every cloud can do. Calls block; the plugin runs them in threads. No call retries a create by itself."""

    name: str
    visibility_s: float
    """For how long a machine may be there and bill although neither a look nor the listing shows it: after its create,
    or between two sightings. Within it "not found" is no evidence. Source or "chosen" beside the value; 0 where this
    computer's own disk tells."""

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        """Refuses a `clouds.<cloud>` section that it cannot use, with a message that names the key. Raises
        InvalidRequest. Asks nobody."""

    def offers(self) -> list[Offer]:
        """Everything rentable, available or not. Raises Unauthorized, RateLimited, Unavailable."""

    def launch(self, spec: NodeSpec) -> Machine:
        """Rents one machine and returns it, usually PENDING. Raises NoCapacity, QuotaExceeded, InvalidRequest, …;
        Ambiguous where the answer was lost, and the caller looks it up by name before it tries again."""

    def get(self, machine_id: str) -> Machine:
        """Raises Gone where the vendor lists it as ended, NotFound only on an authoritative answer, Unavailable where
        the cloud cannot be asked."""

    def inventory(self) -> list[Machine]:
        """Every machine that the account shows, whoever's it is, with our mark or without: one whose tags come late is
        found here by its name. Raises what `list` does."""

    def list(self, owner_project: str | None = None) -> list[Machine]:
        """Every machine that carries our mark, of one project or of all; and, without an owner and UNKNOWN, what has an
        id and no mark that can be read. Raises Incomplete where a part of the cloud did not answer, or rows have no id
        that can be read."""

    def start(self, machine_id: str) -> Machine:
        """Brings a STOPPED machine back where the cloud can; else returns it unchanged."""

    def terminate(self, machine_id: str, age_s: float = 0.0) -> None:
        """Sends the end request, whatever a look says, and returns when the machine is confirmed gone; one already gone
        is fine. `age_s`: at least so many seconds have passed since its create; one that was never seen is called gone
        only once that is more than `visibility_s`. Raises TerminateFailed."""


@runtime_checkable
class Firewalled(Protocol):
    """What a cloud can do beside, if its firewall knows machines by addresses, which they get when they run."""

    def admit(self, owner: Owner, settings: Mapping[str, Any] | None = None) -> None:
        """Lets the gateways among the living machines of the owner's stack, and no other machines of ours, reach all
        of them where they serve; and whom `settings` (`NodeSpec.settings`) names, who stays as it was without. Changes
        nothing that is so already. Raises what the API does, Unavailable where it can be tried again."""


@runtime_checkable
class Tunnelled(Protocol):
    """What a cloud can do beside, if SSH gets to its machines through a program of this computer's."""

    def tunnel(self, way: str, port: int) -> tuple[str, ...]:
        """The program, with its arguments, whose stdin and stdout are the port of the machine whose `tunnel` says
        `way`. Raises InvalidRequest for what is no way there, and where this computer lacks the program."""

    def refused(self, said: str) -> bool:
        """Whether what the program said means that waiting does not help."""


Clouds = Callable[[str], Cloud]
"""The cloud of a name."""
