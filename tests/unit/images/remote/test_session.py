"""What is no SSH server, or not yet one, is unreachable: it is waited for, and never taken for another machine."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from images.remote.connection import Connection
from images.remote.errors import HostKeyChanged, Unreachable
from images.remote.host import Host, Way
from images.remote.session import Session
from providers.base import placed
from providers.renting import contact
from tests.support.sshd import make_key, public_key

TIMEOUT_S = 0.3
Pair = tuple[str, str]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """A private key and its public line."""
    path = tmp_path_factory.mktemp("keys") / "key"
    return make_key(path), public_key(path)


@pytest.fixture(params=[b"", b"SSH-2.0-OpenSSH_9.2p1\r\n"], ids=["silent", "banner alone"])
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    """Of a listener that takes connections, says that much, and no more."""
    held: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    taken, _ = listener.accept()
                    taken.sendall(request.param)
                    held.append(taken)

        thread = threading.Thread(target=accept)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    for taken in held:
        taken.close()


def test_a_handshake_that_does_not_end_in_time_is_unreachable(port: int, pair: Pair) -> None:
    """paramiko's start_client returns at its time-out, as if keys had been exchanged."""
    with pytest.raises(Unreachable, match=r"does not answer SSH: [A-Z]"):
        Session.meet(Way("127.0.0.1", port), expecting=pair[1], timeout_s=TIMEOUT_S)


def test_so_it_is_to_the_installer(port: int, pair: Pair) -> None:
    """Which tries again, and whose removal says that there is nothing to remove."""
    host = Host("127.0.0.1", port, "root", pair[1], "/opt/crossover", "/var/cache/crossover", "127.0.0.1")
    with pytest.raises(Unreachable):
        Connection.open(host, pair[0], timeout_s=TIMEOUT_S)


@pytest.mark.parametrize("known", [False, True])
def test_so_it_is_at_first_contact(port: int, pair: Pair, known: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that boots is waited for until the deadline; anything else would keep it, and let it bill, as a bug."""
    monkeypatch.setattr(contact, "ANSWER_TIMEOUT_S", TIMEOUT_S)
    host_key = pair[1] if known else ""
    machine = placed("lambda", "m-1", "name", address="127.0.0.1", ports={"ssh": port}, host_key=host_key)
    with pytest.raises(Unreachable):
        contact.first_contact(machine, pair[0])


def test_a_pinned_key_that_is_none_is_told_before_anybody_is_asked(pair: Pair) -> None:
    host = Host("127.0.0.1", 9, "root", "no key", "/opt/crossover", "/var/cache/crossover", "127.0.0.1")
    with pytest.raises(HostKeyChanged, match="no readable host key pinned"):
        Connection.open(host, pair[0], timeout_s=TIMEOUT_S)
