"""What `crossover bench` measures of a server, and the row that it makes of it."""
