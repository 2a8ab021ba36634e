"""What the two articles claim, computed: `check.load_claims`."""
