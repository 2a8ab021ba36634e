"""SSH to one machine: its address, a connection, a tunnel, waiting, and what can go wrong."""
