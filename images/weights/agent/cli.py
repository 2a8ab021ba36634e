"""The command: a job on stdin, lines on stdout, of which the last one is the result."""

from __future__ import annotations

import errno
import json
import sys

from .bring import bring
from .job import Job
from .told import Refused, say


def main() -> int:
    """0 with {"brought": {…}} as the last line, 1 with {"refused": {"kind", "message"}}."""
    try:
        say(json.dumps({"brought": bring(Job.parse(sys.stdin.read()))}))
    except Refused as e:
        say(json.dumps({"refused": {"kind": e.kind, "message": str(e)}}))
        return 1
    except OSError as e:
        kind = "full" if e.errno in (errno.ENOSPC, errno.EDQUOT) else "permission"
        say(json.dumps({"refused": {"kind": kind, "message": f"{e.filename or 'the disk'}: {e.strerror or e}"}}))
        return 1
    return 0
