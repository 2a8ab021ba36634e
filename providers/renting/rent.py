"""Renting one machine so that none is lost: adopt, else climb the ladder, then wait for first contact.

Before first contact a failed rent is ended and confirmed gone. After it, for any machine that was there before this
call, and for one that its cloud does not show, nothing here ends it: the caller is told (`Kept`) and its state keeps
the id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from images.remote.errors import Cancelled, RemoteError
from images.remote.waiting import Locks, Waiting
from providers.base import ALIVE, Candidate, Cloud, Clouds, Machine, NodeSpec, Owner
from providers.errors import InvalidRequest, NoCapacity, QuotaExceeded
from providers.renting import hostkeys
from providers.renting.answers.price import held, said
from providers.renting.answers.rows import listed
from providers.renting.blocklist import Blocklist
from providers.renting.memory.creating import create, recalled
from providers.renting.memory.journal import Journal
from providers.renting.naming import machine_name
from providers.renting.until import Kept, await_contact

FLEET_LOCKS = Locks()
BLOCKLIST = Blocklist()


@dataclass(frozen=True, slots=True)
class Request:
    """One node to rent."""

    owner: Owner
    candidates: Sequence[Candidate]
    ssh_public_key: str
    ssh_private_key: str
    ports: Mapping[str, int]
    max_per_failure_domain: int
    deadline_s: float
    """From the launch to first contact."""
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Cloud → its section of the stack's `clouds`."""


def rent(request: Request, clouds: Clouds, waiting: Waiting, journal: Journal | None = None) -> Machine:
    """The node's machine, in contact. Raises Kept where it exists but is not; any other RemoteError means that
    nothing of this call is left behind, or that the journal has it; NoCapacity names every candidate with its
    reason. Without a journal nothing is remembered of a create that was cut off."""
    name = machine_name(request.owner)
    with waiting.turn(FLEET_LOCKS[request.owner.fleet]):
        found = _siblings(request, clouds, waiting)
        machine = recalled(request.owner, name, _adopt(name, found, waiting), clouds, waiting, journal)
        launched = machine is None
        if machine is None:
            domains = [m.failure_domain for m in found if m.name != name]
            machine = _climb(request, name, domains, clouds, waiting, journal)
        launched_at = waiting.clock()
    try:
        settings = request.settings.get(machine.cloud, {})
        key, deadline_s, hold = request.ssh_private_key, request.deadline_s, held(request.candidates)
        hold(machine)
        return await_contact(machine, clouds(machine.cloud), key, deadline_s, waiting, settings, hold)
    except Kept:
        raise
    except Cancelled:
        raise Kept(machine, f"interrupted: machine {machine.id} is kept, and the next `up` goes on with it") from None
    except RemoteError as e:
        if not launched:
            raise Kept(machine, str(e)) from e
        failure = _given_back(machine, clouds(machine.cloud), e, waiting.clock() - launched_at)
        if journal and not isinstance(failure, Kept):
            journal.settled(name, machine.id)
        raise failure from e
    except Exception as e:  # a bug of ours: the machine exists all the same, and the state must know
        raise Kept(machine, f"bug in gpucloud: {type(e).__name__}: {e}") from e


def _siblings(request: Request, clouds: Clouds, waiting: Waiting) -> list[Machine]:
    """All living machines of the fleet, this node's own included, at every cloud of its ladder."""
    names = dict.fromkeys(candidate.cloud for candidate in request.candidates)
    return [
        machine
        for name in names
        for machine in listed(clouds(name), request.owner.project, waiting.say)
        if machine.owner is not None and machine.owner.fleet == request.owner.fleet and machine.state in ALIVE
    ]


def _adopt(name: str, found: Sequence[Machine], waiting: Waiting) -> Machine | None:
    mine = [machine for machine in found if machine.name == name]
    if len(mine) > 1:
        listing = ", ".join(f"{m.cloud}/{m.id} at {said(m.usd_per_hour)}" for m in mine)
        raise InvalidRequest(f"{len(mine)} machines carry the name {name}: {listing}. End all but one, then run again")
    if mine:
        waiting.say(f"adopting {mine[0].id}, which an earlier run rented")
        return mine[0]
    return None


def _climb(
    request: Request, name: str, domains: Sequence[str], clouds: Clouds, waiting: Waiting, journal: Journal | None
) -> Machine:
    """The first candidate that can be had and keeps failure domains apart."""
    refusals: list[str] = []
    for candidate in request.candidates:
        waiting.pause(0)  # nothing more is rented once the user has interrupted
        rung = f"{candidate.cloud}/{candidate.region}/{candidate.sku}"
        reason = _full(candidate, domains, request.max_per_failure_domain) or BLOCKLIST.reason(candidate)
        if reason is None:
            waiting.say(f"renting {rung}")
            try:
                full = frozenset(d for d in domains if domains.count(d) >= request.max_per_failure_domain)
                spec = _spec(request, name, candidate, full)
                return create(clouds(candidate.cloud), spec, waiting, journal)
            except (NoCapacity, QuotaExceeded) as e:
                BLOCKLIST.add(candidate, e)
                reason = str(e)
        refusals.append(f"{rung}: {reason}")
        waiting.say(f"no capacity: {refusals[-1]}")
    raise NoCapacity(f"no candidate of node {request.owner.key} can be had: " + "; ".join(refusals))


def _full(candidate: Candidate, domains: Sequence[str], limit: int) -> str | None:
    """Why the candidate's failure domain takes no more nodes; None if it does. Where a region is none, the cloud
    chooses one that is not full (`NodeSpec.full`)."""
    domain = f"{candidate.cloud}/{candidate.region}"
    if domains.count(domain) < limit:
        return None
    return f"failure domain {domain} already holds {domains.count(domain)} node(s)"


def _spec(request: Request, name: str, candidate: Candidate, full: frozenset[str]) -> NodeSpec:
    return NodeSpec(
        name=name,
        owner=request.owner,
        region=candidate.region,
        sku=candidate.sku,
        ssh_public_key=request.ssh_public_key,
        ports=request.ports,
        max_usd_per_hour=candidate.max_usd_per_hour,
        host_key=hostkeys.one_use(request.ssh_private_key, name),
        settings=request.settings.get(candidate.cloud, {}),
        full=full,
    )


def _given_back(machine: Machine, cloud: Cloud, cause: RemoteError, age_s: float) -> RemoteError:
    try:
        cloud.terminate(machine.id, age_s)
    except RemoteError as e:
        return Kept(
            machine,
            f"{cause}. Ending it failed too ({e}): machine {machine.id} at {machine.cloud} goes on costing "
            f"{said(machine.usd_per_hour)}; run `pulumi destroy` or end it in the console of {machine.cloud}",
        )
    return type(cause)(f"{cause}; the machine was ended and is confirmed gone")
