"""A machine's GPUs are asked, in one round trip."""

from __future__ import annotations

from pathlib import Path

from images.gpu.acceptance.evidence import Evidence, parse
from images.remote.connection import Connection
from images.remote.scripts import Scripts, require
from images.remote.waiting import Waiting

EACH_S = 30
"""For one question: nvidia-smi without persistence loads the driver first, eight GPUs in some 20 s."""
_SCRIPTS = Scripts(Path(__file__).resolve().parent)


def examine(connection: Connection, watch: Waiting, each_s: int = EACH_S) -> Evidence:
    """Changes nothing, and takes no memory of a GPU that serves. Raises CommandFailed, and what Connection.run
    raises."""
    result = _SCRIPTS.run(connection, "examine", args=[str(each_s)], watch=watch, step="examining its GPUs")
    return parse(require(result, f"the GPUs of {connection.host.where} could not be examined").stdout)
