"""Models' files: what a revision's must be."""
