"""Nodes of a fleet take weights from one another: one fetches, the others copy from it over SSH.

Who is first of a group fetches; the others wait for the first that has them, verified, and copy from it; whoever is
done is copied from, too. Where the first one fails, the next takes its place. A machine gives bytes and no
more: what they must be is said by the record, or by the hub's own listing. Where the way between two machines is shut,
a node asks the source itself.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from images.bundle import Weights
from images.remote.connection import Connection
from images.remote.errors import CommandFailed, RemoteError
from images.remote.host import Host
from images.remote.scripts import require
from images.remote.waiting import Progress, Say, Waiting
from images.weights.agent.listing import of_record
from images.weights.agent.told import Refused
from images.weights.onto import SCRIPTS, Brought, WeightsFailed, bring, look

TRIES = 2
"""How often a copy is begun before the source is asked for the rest."""
MARGIN_BYTES = 1 << 30
_LOOK_S = 60.0


@dataclass(slots=True)
class Holder:
    """A machine that has the files, verified. While somebody copies, it lets a key of this run in, for that alone."""

    host: Host
    ssh_private_key: str
    job: Mapping[str, Any]
    run: str = field(default_factory=lambda: secrets.token_hex(8))
    copying: int = 0
    marker: dict[str, Any] = field(default_factory=dict)
    key: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def open(self, watch: Waiting) -> Iterator[None]:
        """Let in from the first who copies to the last. Raises RemoteError."""
        with watch.turn(self.lock):
            if self.copying == 0:
                self._let_in(watch)
            self.copying += 1
        try:
            yield
        finally:
            with self.lock:
                self.copying -= 1
                if self.copying == 0:
                    self._shut()

    def _let_in(self, watch: Waiting) -> None:
        pair = Ed25519PrivateKey.generate()
        self.key = pair.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
        public = pair.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
        with Connection.open(self.host, self.ssh_private_key, cancelled=watch.cancelled) as connection:
            said = SCRIPTS.run(
                connection,
                "share",
                args=[self.job["folder"], self.job["marker"], self.run],
                stdin=public + b"\n",
                watch=watch.within(_LOOK_S),
                step="letting the others copy",
            )
        self.marker = _marker(require(said, f"{self.host.where} does not share its weights").stdout, self.host.where)

    def _shut(self) -> None:
        """What fails here is made good by the next run, or by the day after."""
        try:
            with Connection.open(self.host, self.ssh_private_key) as connection:
                step = "ending the others' copies"
                SCRIPTS.run(connection, "unshare", args=[self.run], watch=Waiting(_LOOK_S), step=step)
        except RemoteError:
            return


def _marker(text: str, where: str) -> dict[str, Any]:
    """What a machine's marker says. It may have been cut, and the machine broken into: the paths go to another one.
    Raises CommandFailed."""
    try:
        told: dict[str, Any] = json.loads(text)
        verified, revision, files = told["verified"], told["revision"], told["files"]
        of_record(files, str(revision))
    except (ValueError, LookupError, TypeError, AttributeError, Refused) as e:
        raise CommandFailed(f"{where} does not say what its weights are: {e!r}") from e
    if not verified:
        raise CommandFailed(f"nobody has verified the weights of {where}")
    return told


@dataclass(slots=True)
class _Group:
    """The nodes that want the same files."""

    holders: list[Holder] = field(default_factory=list)
    fetching: str = ""
    """Which machine does, for people; empty: none."""
    changed: threading.Condition = field(default_factory=threading.Condition)


@dataclass(slots=True)
class Sharing:
    """Who has what, for the life of a process: of one `up`."""

    _groups: dict[str, _Group] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def group(self, name: str) -> _Group:
        """The group of that name, made on first use."""
        with self._guard:
            return self._groups.setdefault(name, _Group())


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
    if brought := _there(connection, job, watch):
        _now_holds(group, own, brought)
        return brought
    with _turn(group, host.where, watch, say) as holder:
        # A volume that several machines mount is full by what the first of them has brought.
        brought = _there(connection, job, watch) if holder else None
        if brought is None:
            source = holder or _of_before(siblings, host, job, watch, say)
            told = (connection, job, watch, say)
            brought = bring(*told) if source is None else _copy(source, *told)
        _now_holds(group, own, brought)
    return brought


def _there(connection: Connection, job: Mapping[str, Any], watch: Waiting) -> Brought | None:
    """What the machine has, if that is all."""
    try:
        return look(connection, job, watch)
    except (WeightsFailed, CommandFailed):
        return None


def _now_holds(group: _Group, holder: Holder, brought: Brought) -> None:
    with group.changed:
        if brought.verified:
            group.holders.append(holder)
        group.changed.notify_all()


@contextmanager
def _turn(group: _Group, me: str, watch: Waiting, say: Say) -> Iterator[Holder | None]:
    """Whom to copy from; None for the one who fetches. Waits while another fetches. Raises Cancelled,
    DeadlineExceeded."""
    tell = Progress(say, prefix="weights: ", every_s=30)
    with group.changed:
        while group.fetching and not group.holders:
            watch.check(f"waiting for the weights of {group.fetching}")
            tell(f"{group.fetching} brings them; this node copies from it then")
            group.changed.wait(0.25)
        holder = min(group.holders, key=lambda h: h.copying) if group.holders else None
        fetches = holder is None
        if fetches:
            group.fetching = me
    try:
        yield holder
    finally:
        with group.changed:
            if fetches:
                group.fetching = ""
            group.changed.notify_all()


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


def _copy(holder: Holder, connection: Connection, job: Mapping[str, Any], watch: Waiting, say: Say) -> Brought:
    """From the holder; what did not come from there comes from the source, and all of it is verified here."""
    where, incoming = holder.host.where, f"{job['folder']}.incoming"
    try:
        with holder.open(watch):
            files = holder.marker["files"]
            for tried in range(TRIES):
                try:
                    _once(holder, connection, incoming, files, watch, say)
                    break
                except CommandFailed:
                    if tried + 1 == TRIES:
                        raise
    except RemoteError as e:
        watch.check("copying weights")
        say(f"weights cannot all be copied from {where}: {e}. The source is asked for what is missing")
    return bring(connection, {**job, "offered": incoming}, watch, say)


def _once(
    holder: Holder, connection: Connection, incoming: str, files: Mapping[str, Any], watch: Waiting, say: Say
) -> None:
    host, size = holder.host, sum(int(file["size"]) for file in files.values())
    shown = Progress(say, prefix=f"weights: copying from {host.where}: ")

    def told(line: str) -> None:
        word, _, count = line.partition(" ")
        if word == "copied" and count.isdigit():
            shown(f"{int(count) / 2**30:.1f} of {size / 2**30:.1f} GiB")

    listed = "".join(f"{file['size']} {path}\n" for path, file in files.items())
    key = " ".join(host.host_key.split()[:2])
    where = [host.ssh_user, host.address, str(host.ssh_port), key, str(MARGIN_BYTES)]
    result = SCRIPTS.run(
        connection,
        "copy",
        args=[connection.host.root, incoming, *where],
        stdin=f"{holder.key.strip()}\n{listed}".encode(),
        watch=watch,
        step=f"copying weights from {host.where}",
        on_line=told,
    )
    require(result, f"{connection.host.where} could not copy from {host.where}", full=result.status == 28)
