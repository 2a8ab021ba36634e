"""What the gate is asked of a stack's configuration."""
