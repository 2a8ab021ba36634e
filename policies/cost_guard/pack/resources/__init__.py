"""The rules on resources, one a file: code, severity, remedy, what they look at, and the function."""
