"""The command line `crossover`."""
