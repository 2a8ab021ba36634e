"""Machines that a team already owns, reached over SSH."""
