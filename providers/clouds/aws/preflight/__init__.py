"""What stands between a stack and its machines at AWS, asked before money is spent: by doctor and by `up`."""
