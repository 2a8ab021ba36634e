"""Where machines come from: one folder a cloud, one protocol, one registry."""
