"""A service to install: says over HTTP who it is, what it read, and how often it was told to read again."""

import http.server
import json
import os
import signal
import sys


class Echo(http.server.BaseHTTPRequestHandler):
    """GET / for everyone; GET /private for those who know API_KEY."""

    def do_GET(self) -> None:
        private = self.path == "/private"
        allowed = not private or self.headers.get("Authorization") == f"Bearer {os.environ['API_KEY']}"
        body = json.dumps({"pid": os.getpid(), "text": text, "reloads": reloads, "note": os.environ["NOTE"]}).encode()
        self.send_response(200 if allowed else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""


def read() -> str:
    with open(path) as f:
        return f.read()


def reload(*_: object) -> None:
    global text, reloads
    text, reloads = read(), reloads + 1


host, port, path = sys.argv[1:4]
text, reloads = read(), 0
if "refuse" in text:
    sys.exit(f"refusing to start; my key is {os.environ['API_KEY']}")
signal.signal(signal.SIGHUP, reload)
print("started", flush=True)
with http.server.ThreadingHTTPServer((host, int(port)), Echo) as server:
    while "mute" in text:
        signal.pause()  # it listens, so that clients connect and wait
    server.serve_forever()
