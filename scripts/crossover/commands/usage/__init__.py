"""Measured token volume: import exports, show the usage file."""
