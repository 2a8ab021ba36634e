"""The HTTP side: one process that serves, its routes, and vLLM's shapes of questions, answers and refusals."""
