"""An HTTP server of a test's own, on loopback, while a block lasts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    """A burst that comes while the computer stands still is taken: with 5, as it is else, the kernel drops the rest."""

    daemon_threads = True


@contextmanager
def in_background(handler: Callable[..., BaseHTTPRequestHandler], address: str = "127.0.0.1") -> Iterator[int]:
    """Its port. Afterwards nothing of it runs but answers that are under way."""
    server = _Server((address, 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
