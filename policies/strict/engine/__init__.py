"""What a process that Pulumi's engine starts must know: who calls it, and whether the engine still lives."""
