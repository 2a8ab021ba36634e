"""What `crossover doctor` looks at."""
