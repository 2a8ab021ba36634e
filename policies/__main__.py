"""The pack's entry. It prints nothing: the engine reads the port from stdout."""

from pulumi_policy import EnforcementLevel, PolicyPack

from cost_guard.pack import server
from cost_guard.pack.advisories import policies

if __name__ == "__main__":
    server.install()
    PolicyPack(name="cost-guard", policies=policies(), enforcement_level=EnforcementLevel.MANDATORY)
