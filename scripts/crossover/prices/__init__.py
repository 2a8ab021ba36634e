"""The catalogue renewed from live sources, under review: what changed, how it is written, how it is shown."""
