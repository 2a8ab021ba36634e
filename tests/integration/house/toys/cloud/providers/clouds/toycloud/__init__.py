"""A cloud that only a test has: it offers one machine, which is never free."""
