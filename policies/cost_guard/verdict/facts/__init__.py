"""What is known of what is asked: a proposal's prices, nodes and readings."""
