"""The steps of an install: one file each, and `order`, which lists them."""
