"""The cost gate as a library: scenario and catalogue in, verdict out (`evaluate`). The rules that need Pulumi are in
`rules/`.

It imports nothing itself: the pack answers the engine before it has loaded what a verdict needs (`rules/gate.py`).
"""
