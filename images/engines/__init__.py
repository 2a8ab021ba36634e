"""The programs that serve a model: one file each, found by `images.engines.common.registry`."""
