"""A machine's GPUs are asked, in one round trip."""

from __future__ import annotations

from pathlib import Path

from images.gpu.acceptance.evidence import Evidence, GpuAnswer, parse
from images.remote.connection import Connection
from images.remote.errors import DeadlineExceeded
from images.remote.scripts import Scripts, require
from images.remote.waiting import Waiting

EACH_S = 30
"""For one question: nvidia-smi without persistence loads the driver first, eight GPUs in some 20 s."""
QUESTIONS = ("gpu", "rows", "throttle", "fabric", "topology", "links", "cuda", "kernel")
"""As examine.sh asks them."""
_IN_TIME = 3
"""The script's time, in that of its questions, which are asked at once. One that waits in the kernel (state D) outlives
the signal that should end it, and would hold the script until the install's own deadline."""
_NO_ANSWER = Evidence(dict.fromkeys(QUESTIONS, GpuAnswer(124)))
_SCRIPTS = Scripts(Path(__file__).resolve().parent)


def examine(connection: Connection, watch: Waiting, each_s: int = EACH_S) -> Evidence:
    """Changes nothing, and takes no memory of a GPU that serves. Where the script does not end, no question is answered
    in time. Raises CommandFailed, and what Connection.run raises."""
    bounded = watch.within(_IN_TIME * each_s)
    try:
        result = _SCRIPTS.run(connection, "examine", args=[str(each_s)], watch=bounded, step="examining its GPUs")
    except DeadlineExceeded:
        watch.check("examining its GPUs")
        return _NO_ANSWER
    return parse(require(result, f"the GPUs of {connection.host.where} could not be examined").stdout)
