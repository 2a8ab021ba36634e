"""The pack's entry. It prints nothing (the engine reads the port from stdout) and imports nothing but the gate."""

from threading import Thread

from cost_guard.rules import gate, policies, server
from pulumi_policy import EnforcementLevel, PolicyPack

if __name__ == "__main__":
    # The engine starts the program next, which takes longer: what the first verdict needs is ready by then.
    Thread(target=gate.warm_up, daemon=True).start()
    server.install()
    PolicyPack(name="cost-guard", policies=policies(), enforcement_level=EnforcementLevel.MANDATORY)
