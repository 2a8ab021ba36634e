"""What the plugin's server does of its own: lines for a person."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from providers.plugin.server import EngineLog

SAID = [f"line {number}" for number in range(9)]


class _Engine:
    """Takes its time for the first line."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.has_all = asyncio.Event()

    async def Log(self, request: Any) -> None:
        for _ in range(50 if request.message == SAID[0] else 0):
            await asyncio.sleep(0)
        self.taken.append(request.message)
        if len(self.taken) == len(SAID):
            self.has_all.set()


def test_lines_arrive_in_the_order_in_which_a_thread_said_them() -> None:
    async def serve() -> list[str]:
        engine, log = _Engine(), EngineLog("127.0.0.1:1")
        log.connect()
        log._stub = engine
        thread = threading.Thread(target=_say, args=(log,))
        thread.start()
        await engine.has_all.wait()
        thread.join()
        return engine.taken

    assert asyncio.run(asyncio.wait_for(serve(), 20)) == SAID


def _say(log: EngineLog) -> None:
    for line in SAID:
        log("urn", line)
