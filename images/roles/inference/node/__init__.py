"""Runs inside the engine's server process on a node, as `crossover_node`. Standard library only: it travels alone."""
