"""Load on an endpoint, for `crossover bench`."""
