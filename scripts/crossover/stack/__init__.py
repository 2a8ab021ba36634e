"""A stack as data: its configuration, its state, its verdict, its approval."""
