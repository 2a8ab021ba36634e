"""What changes a state beside the engine."""
