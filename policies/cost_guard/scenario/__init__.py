"""What is asked: the scenario, its fleet, measured usage, waivers."""
