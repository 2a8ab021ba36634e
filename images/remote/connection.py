"""SSH to one machine that is known: its host key is pinned, and our key may log in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from images.remote.errors import HostKeyChanged
from images.remote.host import Host
from images.remote.keys import parse_private_key, public_blob
from images.remote.session import CONNECT_TIMEOUT_S, Session

_REMEDY = "If you know why, run `pulumi refresh`; if not, end the machine"


class Connection(Session):
    """Logged in. Use it as a context manager."""

    host: Host

    @classmethod
    def open(
        cls,
        host: Host,
        private_key: str,
        *,
        timeout_s: float = CONNECT_TIMEOUT_S,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Self:
        """Connects, through the host's tunnel if it has one, proves the host, logs in. `private_key` is the text
        of an OpenSSH key without a passphrase; `cancelled` ends the wait for a tunnel.

        Raises Unreachable, HostKeyChanged, AuthenticationFailed, Cancelled.
        """
        parse_private_key(private_key)  # nobody is asked with a key that cannot be read
        _require_key(host)
        made = cls.meet(host.way, expecting=host.host_key, timeout_s=timeout_s, cancelled=cancelled)
        made.host = host
        try:
            made.prove(host.host_key, host.where, _REMEDY)
            made.log_in(host.ssh_user, private_key)
        except BaseException:
            made.close()
            raise
        return made


def _require_key(host: Host) -> None:
    try:
        public_blob(host.host_key)
    except ValueError as e:
        raise HostKeyChanged(f"{host.where} has no readable host key pinned: nothing can be trusted") from e
