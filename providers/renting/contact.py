"""First contact: the proof that a machine is there and is the one that was rented, and what only it can tell.

Over the one SSH of `images.remote`. A machine's way in is data: its address and port, or the program (`tunnel`) whose
stdin and stdout are its SSH.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from images.remote.errors import AuthenticationFailed, DeadlineExceeded, RemoteError, Unreachable
from images.remote.host import Way
from images.remote.session import Session
from images.remote.waiting import Waiting
from providers.base import Clouds, Machine, Tunnelled
from providers.errors import CloudError, InvalidRequest
from providers.renting import hostkeys

COMMAND_TIMEOUT_S = 20.0
ANSWER_TIMEOUT_S = 10.0
"""A refresh asks once: a machine that is only busy for some seconds must not be called unreachable."""
REREAD_S, REREAD_POLL_S = 15.0, 0.2


class NotSettled(CloudError):
    """The machine is the right one and answered; it could not be given its host key, or not be asked."""


@dataclass(frozen=True, slots=True)
class WayIn:
    """What SSH goes through where no port of the machine's is open, and whether its wait is to end."""

    tunnel: tuple[str, ...] = ()
    """As of `images.remote.host.Way`."""
    cancelled: Callable[[], bool] = lambda: False


DIRECT = WayIn()


def tunnel_to(machine: Machine, clouds: Clouds) -> tuple[str, ...]:
    """The program through which SSH gets to the machine; empty where its address answers. Raises InvalidRequest where
    there is no such way, or this computer lacks what it needs."""
    if not machine.tunnel:
        return ()
    cloud = clouds(machine.cloud)
    if not isinstance(cloud, Tunnelled):
        raise InvalidRequest(f"{machine.tunnel!r} is no way to a machine at {machine.cloud}")
    return cloud.tunnel(machine.tunnel, machine.ports["ssh"])


def first_contact(machine: Machine, ssh_private_key: str, way: WayIn = DIRECT) -> Machine:
    """The machine with its host key and supervision known, once it has proved to own that key.

    Where the cloud cannot report them, the one-use host key of the launch is replaced by the durable one, and the
    machine is asked for its supervision. Raises what `answers_ssh` raises, and NotSettled.
    """
    if not machine.host_key or machine.loses_disk:
        machine = _keyed(machine, ssh_private_key, way)
        if machine.supervision:
            return machine
    elif machine.supervision:
        answers_ssh(machine, way)
        return machine
    with _proved(machine, way) as session:
        found = _run(machine, session, ssh_private_key, "test -d /run/systemd/system && echo systemd || true", "")
    return replace(machine, supervision=found.strip() or "supervisor")


def identified(machine: Machine, ssh_private_keys: Sequence[str], way: WayIn = DIRECT) -> Machine:
    """A machine of this stack's with its host key, for a caller who has no state of it: what the cloud reports, else
    the durable key of the first of these SSH keys whose machine it proves to be. Unchanged if it proves none."""
    for key in ssh_private_keys:
        known = replace(machine, host_key=machine.host_key or hostkeys.durable(key, machine.name).public)
        with suppress(RemoteError):
            answers_ssh(known, way)
            return known
    return machine


def shows_keys_of(machine: Machine, ssh_private_key: str, way: WayIn = DIRECT) -> bool:
    """Whether the machine was launched by the stack of this SSH key: it has a host key that was made from it, or,
    where its cloud reports another, it lets the SSH key log in. Raises Unreachable."""
    made = (hostkeys.durable(ssh_private_key, machine.name), hostkeys.one_use(ssh_private_key, machine.name))
    with _met(replace(machine, host_key=machine.host_key or made[0].public), way) as session:
        if any(session.shows(key.public) for key in made):
            return True
        if not machine.host_key or not session.shows(machine.host_key):
            return False
        try:
            session.log_in(machine.ssh_user, ssh_private_key)
        except AuthenticationFailed:
            return False
        return True


def answers_ssh(machine: Machine, way: WayIn = DIRECT) -> None:
    """Completes an SSH key exchange with the machine, without logging in.

    Returns if it proved to own its host key. Raises Unreachable while nothing answers, HostKeyChanged where another
    key is shown.
    """
    _proved(machine, way).close()


_REPLACE_HOST_KEY = """set -eu
key=/etc/ssh/ssh_host_ed25519_key
[ ! -f /etc/ssh/crossover_host_key ] || key=/etc/ssh/crossover_host_key
umask 077
cat >"$key.new"
ssh-keygen -y -f "$key.new" >"$key.pub.new"
chmod 644 "$key.pub.new"
mv "$key.pub.new" "$key.pub"
mv "$key.new" "$key"
if [ -d /run/systemd/system ]; then
    systemctl reload ssh 2>/dev/null || systemctl reload sshd
else
    kill -HUP "$(cat /run/sshd.pid)"
fi
"""


def _keyed(machine: Machine, ssh_private_key: str, way: WayIn) -> Machine:
    """The machine with the host key that it is known by, or with the durable one, which it is given if it still (or, a
    container after a reset, again) has the one of its launch."""
    durable, launched = hostkeys.durable(ssh_private_key, machine.name), hostkeys.one_use(ssh_private_key, machine.name)
    settled = replace(machine, host_key=durable.public)
    with _met(settled, way) as session:
        if not session.shows(launched.public):
            known = replace(machine, host_key=machine.host_key or durable.public)
            _prove(known, session)
            return known
        _run(machine, session, ssh_private_key, _REPLACE_HOST_KEY, durable.private)
    _await_durable(settled, launched.public, way)
    return settled


def _await_durable(settled: Machine, launched: str, way: WayIn) -> None:
    """Until the machine shows its durable key. A signal tells its sshd to read it, and sshd may take a connection
    before it hears the signal. The key is not sent again meanwhile: whoever goes on showing that of the launch may be
    another one, who has read it in the user data.

    Raises Unreachable while sshd starts again, HostKeyChanged, Cancelled."""
    waiting = Waiting(REREAD_S, way.cancelled)
    while True:
        with _met(settled, way) as session:
            if not session.shows(launched) or waiting.remaining_s == 0:
                _prove(settled, session)
                return
        waiting.pause(REREAD_POLL_S)


def _met(machine: Machine, way: WayIn) -> Session:
    """Its key exchange is done. Raises Unreachable, Cancelled."""
    if machine.address is None or "ssh" not in machine.ports:
        raise Unreachable(f"machine {machine.id} has no address yet")
    there, key = Way(machine.address, machine.ports["ssh"], way.tunnel), machine.host_key
    # A server offers several types of key, and while it boots not yet each: only ours tells that it is another machine.
    return Session.meet(there, expecting=key, alone=True, timeout_s=ANSWER_TIMEOUT_S, cancelled=way.cancelled)


def _proved(machine: Machine, way: WayIn) -> Session:
    """It owns its host key. Raises Unreachable, Cancelled, HostKeyChanged."""
    session = _met(machine, way)
    try:
        _prove(machine, session)
    except BaseException:
        session.close()
        raise
    return session


def _prove(machine: Machine, session: Session) -> None:
    remedy = (
        "If you know why: `pulumi refresh` where the cloud lists host keys (local, existing), else raise the node's "
        "generation"
    )
    session.prove(machine.host_key, f"machine {machine.id} at {session.way}", remedy)


def _run(machine: Machine, session: Session, ssh_private_key: str, script: str, stdin: str) -> str:
    """Logs in, unless that was done, and runs the script as root; its standard output. Raises NotSettled,
    Unreachable."""
    as_root = f'set -- -c {shlex.quote(script)}\n[ "$(id -u)" = 0 ] && exec sh "$@"\nexec sudo -n sh "$@"'
    try:
        session.log_in(machine.ssh_user, ssh_private_key)
        done = session.run(as_root, watch=Waiting(COMMAND_TIMEOUT_S), step="its first contact", stdin=stdin.encode())
    except AuthenticationFailed as e:
        raise NotSettled(f"{machine.id} does not let {machine.ssh_user} log in with this stack's SSH key: {e}") from e
    except DeadlineExceeded as e:
        raise Unreachable(f"{session.way} does not answer in time: {e}") from e
    if done.status != 0:
        raise NotSettled(f"{machine.id} refused its host key (status {done.status}): {done.stderr.strip()[-300:]}")
    return done.stdout
