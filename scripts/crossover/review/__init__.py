"""The cost gate on a pull request: `make` composes a review of what `stack` says of both sides.

`preview` runs the real preview and understands what the engine reports; `comparison`, `flip`, `rules` and `review`
derive what a reviewer must know; `formats` only write.
"""
