"""The pack's entry, run by `python -m pulumi.policy ENGINE FOLDER`, which leaves the arguments as they are."""

import sys

from cost_guard.pack import server
from cost_guard.pack.advisories import policies

if __name__ == "__main__":
    server.serve("cost-guard", policies(), sys.argv[1])
