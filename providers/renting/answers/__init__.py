"""What clouds answer of machines and prices, read so that nothing in it stops anybody."""
