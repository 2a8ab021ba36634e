"""The cost gate: `verdict.judge` says of a proposal whether it pays for itself; `pack` has the engine ask it.

It imports nothing itself: the pack answers the engine before it has loaded what a verdict needs (`pack/gate.py`).
"""
