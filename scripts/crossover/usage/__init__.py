"""`crossover usage`: the measured volume, from exports to a small committed file."""
