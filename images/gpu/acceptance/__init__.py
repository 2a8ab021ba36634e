"""Whether a machine's GPUs are whole: one script asks, a pure judge tells what is wrong and what to do about it."""
