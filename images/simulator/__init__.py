"""A vLLM that needs no GPU: the OpenAI protocol, scheduling, admission and metrics of `vllm serve`, over a timed model.

Started as `python -m simulator serve MODEL …` with this folder's parent on the path; it imports nothing else of the
project. What is simulated, and what is not: docs/reference/simulator.md. Behaviour was read from vLLM 0.32.0.
"""

VLLM_VERSION = "0.32.0"
"""The vLLM whose flags, response shapes, metric names and buckets are reproduced."""

VERSION = f"{VLLM_VERSION}+simulator"
"""What /version answers, so that nobody takes a simulator for the real thing."""
