"""What all engines have in common: what one is, which there are, what may be said to them, what their logs mean."""
