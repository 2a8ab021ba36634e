"""`crossover preview`: the cost gate on a pull request. One subject a module; `run` composes them.

`source`, `approval` and `evaluation` read a stack's configuration as data and judge it; `engine` and `events` run the
real preview and understand what the engine reports; `comparison`, `flip` and `review` derive what a reviewer must know;
`headline`, `comment`, `report`, `junit` and `sarif` only write.
"""
