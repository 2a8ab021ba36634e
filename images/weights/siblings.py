"""Nodes of a fleet take weights from one another: one fetches, the others copy from it over SSH.

Who is first of a group fetches; the others copy what it has, file by file as they come, from it and from one another.
Where the first one fails, the next takes its place. A machine gives bytes and no more: what
they must be is said by the record, or by the hub's own listing. Where the way between two machines is shut, a node asks
the source itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from images.bundle import Weights
from images.remote.connection import Connection
from images.remote.errors import CommandFailed, DiskFull, RemoteError
from images.remote.host import Host
from images.remote.scripts import require
from images.remote.waiting import Progress, Say, Waiting
from images.weights.holders import Files, Holder, Piece, listed
from images.weights.onto import SCRIPTS, Brought, WeightsFailed, bring, look
from images.weights.sharing import Group, NobodyGives, Sharing, pieces_of

TRIES = 2
"""How often copies from machines that have all may break off in a row before the source is asked for the rest."""
MARGIN_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Siblings:
    """The others of a node's fleet."""

    sharing: Sharing
    fleet: str
    ssh_private_key: str
    find: Callable[[], Iterable[Host]]
    """Machines of the fleet that may have them from an earlier run; asked once somebody would fetch."""


def can_be_known(weights: Weights, record: bytes | None) -> bool:
    """Whether a machine can come to have them verified. Of others nobody copies: to wait for them would only fetch them
    on one machine after another."""
    return record is not None or (weights.kind == "hf" and not weights.unverified)


def bring_among(
    siblings: Siblings, connection: Connection, job: Mapping[str, Any], watch: Waiting, say: Say
) -> Brought:
    """As `images.weights.onto.bring`; what another node has, or is about to have, is copied from it."""
    host = connection.host
    wanted = json.dumps([siblings.fleet, *(job[key] for key in ("kind", "place", "model", "revision", "record"))])
    group = siblings.sharing.group(wanted)
    own = Holder(host, siblings.ssh_private_key, job)
    early = not host.weights_root  # a volume that several machines mount is full by what the first of them has brought
    brought = _there(connection, job, watch)
    if brought and brought.verified:
        group.has_all(own)
    while brought is None:
        with group.turn(host.where, early, watch, say) as asks:
            if asks and (before := _of_before(siblings, host, job, watch, say)):
                group.has_all(before)
                asks = False
            if asks:
                brought = _fetch(group, own, connection, watch, say)
            else:
                brought = None if early else _there(connection, job, watch)
                brought = brought or _copy(group, own, connection, watch, say)
            if brought and brought.verified:
                group.has_all(own)
    return brought


def _there(connection: Connection, job: Mapping[str, Any], watch: Waiting) -> Brought | None:
    """What the machine has, if that is all. Raises WeightsFailed where its folder may not be used at all: nothing is
    copied to it first."""
    try:
        return look(connection, job, watch)
    except WeightsFailed as e:
        if e.kind == "permission":
            raise
    except CommandFailed:
        pass
    return None


def _of_before(siblings: Siblings, host: Host, job: Mapping[str, Any], watch: Waiting, say: Say) -> Holder | None:
    """A machine of the fleet that has had them since an earlier run."""
    for other in siblings.find():
        if other.where == host.where:
            continue
        theirs = {**job, **_places(job, host, other)}
        try:
            with Connection.open(other, siblings.ssh_private_key, cancelled=watch.cancelled) as connection:
                if _there(connection, theirs, watch):
                    say(f"{other.where} has the weights")
                    return Holder(other, siblings.ssh_private_key, theirs)
        except RemoteError:
            continue
    return None


def _places(job: Mapping[str, Any], mine: Host, theirs: Host) -> dict[str, Any]:
    """Where the same files lie on the other machine."""
    return {key: job[key].replace(mine.weights, theirs.weights, 1) for key in ("folder", "marker")}


def _fetch(group: Group, own: Holder, connection: Connection, watch: Waiting, say: Say) -> Brought:
    """From the source. What has come is given on meanwhile."""
    own.has = set()
    awaited: dict[Piece, set[str]] = {}

    def hear(line: str) -> None:
        told = json.loads(line)
        if "files" in told:
            group.files = listed(told["files"], own.host.where)
            awaited.update((piece, set(piece)) for piece in pieces_of(group.files))
        for piece in [piece for piece, paths in awaited.items() if told.get("has") in paths]:
            awaited[piece].remove(told["has"])
            if not awaited[piece]:
                group.gained(own, piece)

    try:
        return bring(connection, {**own.job, "gives": True, "offered": _incoming(own)}, watch, say, hear)
    except BaseException:
        group.withdraw(own, watch)
        raise


def _incoming(own: Holder) -> str:
    """Where copies come to lie on that machine until they are verified."""
    return f"{own.job['folder']}.incoming"


def _copy(group: Group, own: Holder, connection: Connection, watch: Waiting, say: Say) -> Brought | None:
    """From those who have them; what did not come from there comes from the source, and all of it is verified here.
    What has come is given on meanwhile, until it is verified. None where whoever fetched has failed."""
    incoming = _incoming(own)
    mine = Holder(own.host, own.ssh_private_key, {**own.job, "folder": incoming}, has=set())
    try:
        _gather(group, mine, connection, watch, say)
    except NobodyGives:
        return None
    except RemoteError as e:
        watch.check("copying weights")
        say(f"weights cannot all be copied: {e}. The source is asked for what is missing")
    finally:
        group.withdraw(mine, watch)
    return bring(connection, {**own.job, "offered": incoming}, watch, say)


def _gather(group: Group, mine: Holder, connection: Connection, watch: Waiting, say: Say) -> None:
    """All is in the folder of `mine` afterwards. Raises NobodyGives, RemoteError."""
    failed = 0
    avoided: set[Holder] = set()
    with ExitStack() as guests:
        open_: set[Holder] = set()

        def enter(holder: Holder) -> None:
            if holder not in open_:
                guests.enter_context(holder.open(watch))
                open_.add(holder)

        files = group.files or _files(group, enter)
        shown = Progress(say, prefix="weights: copied from other nodes: ")
        missing = pieces_of(files)
        while missing:
            with group.copy(missing, avoided, watch) as (holder, piece):
                try:
                    enter(holder)
                    _once(holder, piece, files, mine, connection, watch, shown)
                except DiskFull:
                    raise
                except RemoteError:
                    watch.check("copying weights")
                    avoided.add(holder)
                    failed += holder.has is None
                    if failed >= TRIES:
                        raise
                    continue
            failed = failed if holder.has is not None else 0
            missing.remove(piece)
            group.gained(mine, piece)


def _files(group: Group, enter: Callable[[Holder], None]) -> Files:
    """What there is, by the first that has all and can be asked. Raises RemoteError."""
    problem: RemoteError | None = None
    for holder in group.complete():
        try:
            enter(holder)
            return holder.files
        except RemoteError as e:
            problem = e
    raise problem or NobodyGives("no node has the weights")


def _once(
    holder: Holder, piece: Piece, files: Files, mine: Holder, connection: Connection, watch: Waiting, shown: Progress
) -> None:
    host, size = holder.host, sum(int(file["size"]) for file in files.values())

    def told(line: str) -> None:
        word, _, count = line.partition(" ")
        if word == "copied" and count.isdigit():
            shown(f"{int(count) / 2**30:.1f} of {size / 2**30:.1f} GiB")

    now = set(piece)
    listed = "".join(f"{'now' if path in now else 'later'} {file['size']} {path}\n" for path, file in files.items())
    key = " ".join(host.host_key.split()[:2])
    where = [host.ssh_user, host.address, str(host.ssh_port), key, str(MARGIN_BYTES)]
    result = SCRIPTS.run(
        connection,
        "copy",
        args=[connection.host.root, mine.job["folder"], *where],
        stdin=f"{holder.key.strip()}\n{listed}".encode(),
        watch=watch,
        step=f"copying weights from {host.where}",
        on_line=told,
    )
    require(result, f"{connection.host.where} could not copy from {host.where}", full=result.status == 28)
