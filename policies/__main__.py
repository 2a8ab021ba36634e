"""The pack's entry. It prints nothing (the engine reads the port from stdout) and imports nothing but the gate.

numpy, for the gate's draws, is imported beside: the pack waits while the program starts. It takes the first answer from
0.18 s to 0.02 s (docs/performance.md).
"""

import importlib
import threading

from cost_guard.rules import policies
from pulumi_policy import EnforcementLevel, PolicyPack

if __name__ == "__main__":
    threading.Thread(target=importlib.import_module, args=("numpy",), daemon=True).start()
    PolicyPack(name="cost-guard", policies=policies(), enforcement_level=EnforcementLevel.MANDATORY)
