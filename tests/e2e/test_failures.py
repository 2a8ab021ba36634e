"""What goes wrong on a machine is said with its log; the machine stays, and the next `up` goes on with it."""

from __future__ import annotations

import socket
from contextlib import suppress

from tests.support.checkout import Checkout
from tests.support.eventually import eventually
from tests.support.processes import kill

PATIENT = {"deadlines": {"rentS": 120, "installS": 200}}
"""What fails is seen long before; a slow computer must not end it sooner, and with other words."""


def test_a_node_that_never_becomes_healthy_is_kept_and_resumed(clone: Checkout) -> None:
    program = clone.folder / "images" / "simulator" / "__main__.py"
    whole = program.read_text()
    program.write_text('raise SystemExit("no CUDA device is available")\n')
    clone.configure(PATIENT)
    failed = clone.up(fails=True)
    assert "no CUDA device is available" in failed  # the end of its log
    assert "Traceback" not in failed
    before = clone.machines
    assert set(before) >= {"a", "b"}
    program.write_text(whole)
    clone.reset()
    clone.up()
    assert {key: clone.machines[key].id for key in before} == {key: m.id for key, m in before.items()}
    assert "10 unchanged" in clone.up("--refresh")


def bound(sock: socket.socket, port: int) -> bool:
    """Whether the port could be taken."""
    with suppress(OSError):
        sock.bind(("127.0.0.1", port))
        return True
    return False


def test_a_port_that_another_program_took_is_named_and_freed_ports_heal(clone: Checkout) -> None:
    clone.up()
    gateway = clone.machines["gateway"]
    while pids := clone.cloud.client.processes(gateway.id):
        kill(pids)
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # A process that is being killed gives up its memory, by which it was found, before its sockets.
        eventually(lambda: bound(taken, gateway.ports["endpoint"]), "the gateway's port is free")
        taken.listen()
        clone.configure(PATIENT)
        failed = clone.up("--refresh", fails=True)
    assert f"port {gateway.ports['endpoint']} is in use by python" in failed
    assert clone.machines["gateway"].id == gateway.id
    clone.reset()
    clone.up("--refresh")
    assert clone.machines["gateway"].id == gateway.id
