"""Ways to bring a bundle onto a host."""
