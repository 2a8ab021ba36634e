"""What falls due in the months of a horizon, and where running sums cross."""
