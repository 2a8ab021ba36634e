"""What is told besides the verdict: the numbers that went in, and what a reader must know about them."""
