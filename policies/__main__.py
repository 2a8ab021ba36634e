"""The pack's entry, run by `python -m pulumi.policy ENGINE FOLDER`, which leaves the arguments as they are."""

import gc
import sys

from cost_guard.pack import server
from cost_guard.pack.advisories import policies

if __name__ == "__main__":
    gc.freeze()  # What is loaded stays: to look for garbage in it, over and over, takes 20 ms of the pack's start.
    server.serve("cost-guard", policies(), sys.argv[1])
