"""What the gate says."""
