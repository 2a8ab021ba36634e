"""How fast a machine's GPUs add up what each of them holds: one NCCL all-reduce, before a model is loaded."""
