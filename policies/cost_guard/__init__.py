"""The cost gate: `verdict.judge` says of a proposal whether it pays for itself; `pack` has the engine ask it.

It imports nothing of ours: the pack answers the engine before it has loaded what a verdict needs (`pack/gate.py`).
"""

import os

# Draws are sums and sorts: of numpy, nothing here asks OpenBLAS. Yet that starts a thread for each core when numpy is
# loaded, and they spin for a while: 60 to 100 ms of a core that the program of a preview starts on meanwhile.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
