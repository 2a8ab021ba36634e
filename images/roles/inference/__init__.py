"""A node that serves."""
