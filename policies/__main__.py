"""The pack's entry. It prints nothing: the engine reads the port from stdout."""

import gc

from pulumi_policy import EnforcementLevel, PolicyPack

from cost_guard.pack import server
from cost_guard.pack.advisories import policies

if __name__ == "__main__":
    gc.freeze()  # What is loaded stays: to look for garbage in it, over and over, takes 20 ms of the pack's start.
    server.install()
    PolicyPack(name="cost-guard", policies=policies(), enforcement_level=EnforcementLevel.MANDATORY)
