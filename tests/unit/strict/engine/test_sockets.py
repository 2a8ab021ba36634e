"""Whose a connection is, by both ways in which the kernel says it."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from strict.engine import sockets
from strict.engine.sockets import Address

WAYS: dict[str, Callable[[Address, Address], int | None]] = {
    "sock_diag": sockets._diagnosed,
    "/proc/net": sockets._listed,
    "either": sockets.user_of,
}


class Connected:
    """A connection over loopback, the client's end of which is of the given family of sockets."""

    def __init__(self, stack: ExitStack, family: socket.AddressFamily = socket.AF_INET) -> None:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.client = stack.enter_context(socket.socket(family))
        self.port: int = server.getsockname()[1]
        self.client.connect(("127.0.0.1" if family == socket.AF_INET else "::ffff:127.0.0.1", self.port))
        self.accepted, self.peer = server.accept()
        stack.enter_context(self.accepted)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as held:
        yield held


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_it_is_its_makers_whatever_the_sockets_family(stack: ExitStack, way: str, family: socket.AddressFamily) -> None:
    made = Connected(stack, family)
    assert WAYS[way](made.peer, ("127.0.0.1", made.port)) == os.geteuid()


@pytest.mark.parametrize("way", WAYS)
def test_a_socket_that_was_closed_is_nobodys(stack: ExitStack, way: str) -> None:
    """The kernel says user 0 of one that nobody holds any more: whoever called and hung up would be root."""
    made = Connected(stack)
    made.client.close()
    assert WAYS[way](made.peer, ("127.0.0.1", made.port)) is None


@pytest.mark.parametrize("way", WAYS)
def test_the_same_port_towards_another_server_is_another_connection(stack: ExitStack, way: str) -> None:
    made = Connected(stack)
    assert WAYS[way](made.peer, ("127.0.0.1", made.port ^ 1)) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a socket of another user")
@pytest.mark.parametrize("way", WAYS)
def test_another_users_is_told_apart(stack: ExitStack, way: str) -> None:
    made = Connected(stack)
    os.fchown(made.client.fileno(), 65534, -1)  # sockfs: the socket's user follows its inode's (sock_i_uid)
    assert WAYS[way](made.peer, ("127.0.0.1", made.port)) == 65534
