"""A model's files: where they come from, what they must be, and the program that fetches them on the machine."""
