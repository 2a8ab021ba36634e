"""What every command does alike: output, the day, asking all clouds."""
