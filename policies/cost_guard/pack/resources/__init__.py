"""The rules on resources, one a file."""
