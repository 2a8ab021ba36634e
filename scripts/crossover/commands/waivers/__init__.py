"""Who lets which violation through, why, and until when."""
