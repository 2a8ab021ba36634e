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
from providers.base import Candidate, Cloud, Clouds, Machine, NodeSpec, Owner
from providers.errors import (
    CloudError,
    InvalidRequest,
    NoCapacity,
    QuotaExceeded,
    RateLimited,
    Unauthorized,
    Unavailable,
)
from providers.renting import hostkeys
from providers.renting.answers.price import held, said
from providers.renting.answers.rows import listed
from providers.renting.blocklist import Blocklist
from providers.renting.memory.creating import create, recalled, undone
from providers.renting.memory.duds import Dud, Duds
from providers.renting.memory.journal import Journal
from providers.renting.naming import former_names, machine_name, names_of
from providers.renting.ownership import is_of_before, of_stack, prove
from providers.renting.until import Kept, await_contact

FLEET_LOCKS = Locks()
BLOCKLIST = Blocklist()
MOST_DUDS = 3
"""How many machines one call rents in vain. Chosen: each may cost as much as its deadline is long."""
NO_DUD = (InvalidRequest, RateLimited, Unauthorized, Unavailable)
"""What is no machine's fault."""


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


class GivenBack(CloudError):
    """A machine was launched, not reached and ended again."""

    def __init__(self, failure: RemoteError, blame: str) -> None:
        super().__init__(str(failure))
        self.failure = failure
        self.blame = blame


def rent(
    request: Request, clouds: Clouds, waiting: Waiting, duds: Duds | None = None, journal: Journal | None = None
) -> Machine:
    """The node's machine, in contact. Raises Kept where it exists but is not; any other RemoteError means that nothing
    of this call is left behind, or that the journal has it; NoCapacity names every candidate with its reason. Without a
    journal nothing is remembered of a create that was cut off.

    A machine that was launched, not reached and given back is a dud: what it came from is left out (`duds`), and the
    ladder is climbed on. Where nothing else can be had it is the dud's failure that is raised: it says what to mend."""
    duds = Duds() if duds is None else duds
    failure: RemoteError | None = None
    for _ in range(MOST_DUDS):
        try:
            return _rent_once(request, clouds, waiting, duds, journal)
        except GivenBack as e:
            failure = e.failure
            waiting.warn(f"{failure}. {e.blame} is left out for a day")
        except NoCapacity as e:
            if failure is None:
                raise
            raise type(failure)(f"{failure}. Then {e}") from e
    assert failure is not None
    raise failure


def _rent_once(request: Request, clouds: Clouds, waiting: Waiting, duds: Duds, journal: Journal | None) -> Machine:
    """Raises GivenBack for a dud; else as `rent`."""
    name = machine_name(request.owner)
    with waiting.turn(FLEET_LOCKS[request.owner.fleet]):
        if journal:
            undone(journal.open(former_names(request.owner)), clouds, waiting, journal)
        found = _siblings(request, clouds, waiting)
        _tell_former(request.owner, found, waiting)
        machine = recalled(request.owner, _adopt(request.owner, found, waiting), clouds, waiting, journal)
        launched = machine is None
        if machine is None:
            domains = [m.failure_domain for m in found]
            machine = _climb(request, name, domains, clouds, waiting, duds.left_out(), journal)
        launched_at = waiting.clock()
    if not launched and is_of_before(machine, request.owner):
        prove(machine, clouds(machine.cloud), request.ssh_private_key, waiting.within(request.deadline_s))
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
            journal.settled(machine.cloud, machine.id)
        if isinstance(failure, Kept) or isinstance(e, NO_DUD) or not machine.blame:
            raise failure from e
        duds.add(machine.blame, f"{machine.cloud}/{machine.id}", str(e))
        raise GivenBack(failure, machine.blame) from e
    except Exception as e:  # a bug of ours: the machine exists all the same, and the state must know
        raise Kept(machine, f"bug in gpucloud: {type(e).__name__}: {e}") from e


def _siblings(request: Request, clouds: Clouds, waiting: Waiting) -> list[Machine]:
    """All living machines of the fleet, this node's own included, at every cloud of its ladder. Raises SomebodyElses
    where another stack has the name of this one."""
    names = dict.fromkeys(candidate.cloud for candidate in request.candidates)
    found = [machine for name in names for machine in listed(clouds(name), request.owner.project, waiting.say)]
    return [m for m in of_stack(request.owner, found) if m.owner and m.owner.role == request.owner.role]


def _tell_former(owner: Owner, found: Sequence[Machine], waiting: Waiting) -> None:
    """Whoever rents a node's machine has ended those of its earlier generations, or the state lost them."""
    for machine in found:
        if machine.owner and machine.owner.key == owner.key and machine.owner.generation < owner.generation:
            waiting.warn(
                f"{machine.cloud}/{machine.id} is of generation {machine.owner.generation} of {owner.key}, and goes on "
                f"costing {said(machine.usd_per_hour)}: if no state has it, `crossover orphans` ends it"
            )


def _adopt(owner: Owner, found: Sequence[Machine], waiting: Waiting) -> Machine | None:
    mine = [machine for machine in found if machine.name in names_of(owner)]
    if len(mine) > 1:
        listing = ", ".join(f"{m.cloud}/{m.id} at {said(m.usd_per_hour)}" for m in mine)
        raise InvalidRequest(
            f"{len(mine)} machines are this node's, {mine[0].name}: {listing}. End all but one, then run again"
        )
    if mine:
        waiting.say(f"adopting {mine[0].id}, which an earlier run rented")
        return mine[0]
    return None


def _climb(
    request: Request,
    name: str,
    domains: Sequence[str],
    clouds: Clouds,
    waiting: Waiting,
    left_out: Mapping[str, Dud],
    journal: Journal | None,
) -> Machine:
    """The first candidate that can be had and keeps failure domains apart."""
    refusals: list[str] = []
    for candidate in request.candidates:
        waiting.pause(0)  # nothing more is rented once the user has interrupted
        rung = f"{candidate.cloud}/{candidate.region}/{candidate.sku}"
        reason = _full(candidate, domains, request.max_per_failure_domain) or _left_out(candidate, left_out)
        reason = reason or BLOCKLIST.reason(candidate)
        if reason is None:
            waiting.say(f"renting {rung}")
            try:
                full = frozenset(d for d in domains if domains.count(d) >= request.max_per_failure_domain)
                spec = _spec(request, name, candidate, full, left_out)
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


def _left_out(candidate: Candidate, left_out: Mapping[str, Dud]) -> str | None:
    """Why the rung itself is left out; None if it is not. Where only a host is, the cloud takes another one."""
    region = f"{candidate.cloud}/{candidate.region}"
    dud = left_out.get(region) or left_out.get(f"{region}/{candidate.sku}")
    return None if dud is None else f"{dud.said}; `crossover doctor --forget` lets it be rented again"


def _spec(
    request: Request, name: str, candidate: Candidate, full: frozenset[str], left_out: Mapping[str, Dud]
) -> NodeSpec:
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
        left_out=frozenset(left_out),
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
