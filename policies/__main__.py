"""The pack's entry. It prints nothing (the engine reads the port from stdout) and imports nothing but the gate.

What the first verdict needs beside that, numpy above all, is loaded beside: the pack waits while the program starts. It
takes the first answer from 0.18 s to 0.02 s (docs/performance.md).
"""

from threading import Thread

from cost_guard.rules import gate, policies, server
from pulumi_policy import EnforcementLevel, PolicyPack

if __name__ == "__main__":
    Thread(target=gate.warm_up, daemon=True).start()
    server.install()
    PolicyPack(name="cost-guard", policies=policies(), enforcement_level=EnforcementLevel.MANDATORY)
