"""A service that stands for an engine: its worker holds a lock, as one holds a GPU's memory, and outlives it if it can.

loader.py HOST PORT LOCK
"""

import fcntl
import http.server
import json
import os
import signal
import subprocess
import sys
import time

HELD = "ValueError: Free memory on device cuda:0 (1.0/79.3 GiB) on startup is less than desired GPU memory utilization"


class Answer(http.server.BaseHTTPRequestHandler):
    """Says who it is."""

    def do_GET(self) -> None:
        body = json.dumps({"pid": os.getpid(), "worker": worker.pid}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""


def hold(path: str) -> None:
    """The worker."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with open(path, "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            sys.exit(HELD)
        print("holding", flush=True)
        while True:
            time.sleep(60)


if sys.argv[1] == "hold":
    hold(sys.argv[2])
worker = subprocess.Popen([sys.executable, __file__, "hold", sys.argv[3]], stdout=subprocess.PIPE)
assert worker.stdout is not None
if worker.stdout.readline() != b"holding\n":
    sys.exit("its worker does not start")
with http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Answer) as server:
    server.serve_forever()
