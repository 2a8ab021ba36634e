"""What a machine is for: settings, pure renderers and the bundle of each role."""
