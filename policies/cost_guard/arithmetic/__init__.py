"""What a fleet costs and serves: pure numbers, no words about them."""
