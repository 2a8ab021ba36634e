"""Who may change what, one after the other, within one run."""
