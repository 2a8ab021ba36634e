"""What the cost gate reckons with: shown, and renewed under review."""
