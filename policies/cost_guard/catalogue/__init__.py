"""What is known: prices, throughputs, claims, each with source and date."""
