"""A bundle onto a machine over SSH."""
