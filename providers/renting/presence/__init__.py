"""Whether a machine is there: absence is never evidence by itself."""
