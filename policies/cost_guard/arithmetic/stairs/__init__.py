"""What n more nodes carry, cost and earn: integers first, then exact in rationals, or for many draws at once."""
