"""The sections of a scenario that speak of one thing each."""
