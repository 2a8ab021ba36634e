"""What a server is told, whoever reads it from a command line."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tls:
    """Files, and what is asked of clients."""

    keyfile: str | None
    certfile: str
    ca_certs: str | None
    cert_reqs: int
    """ssl.CERT_NONE (0, the default, as in vLLM: a CA alone asks for no client certificate), 1 or 2."""


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """Everything the server needs. Capacities are of the whole server; data-parallel engines share them evenly."""

    model: str
    served_names: tuple[str, ...]
    host: str
    port: int
    api_keys: tuple[str, ...]
    tls: Tls | None
    max_model_len: int
    max_num_seqs: int
    max_num_batched_tokens: int
    max_num_queued_reqs: int | None
    max_num_queued_tokens: int | None
    data_parallel_size: int
    block_size: int
    prefix_caching: bool
    prompt_tokens_details: bool
    force_include_usage: bool
    shutdown_timeout_s: int
    log_level: str
    access_log: bool
    access_log_excluded: frozenset[str]
    log_requests: bool
    prefill_tokens_per_s: float
    decode_tokens_per_s: float
    sequence_tokens_per_s: float
    kv_cache_tokens: int
    output_tokens: int
    startup_s: float
    time_scale: float
    faults: bool
    keep_alive_s: int = 5
    """Idle connections are closed after it."""
    middleware: tuple[str, ...] = ()
    """Dotted names of ASGI classes or coroutine functions, the last one the outermost."""
    docs: bool = True
    """Whether /docs, /redoc and /openapi.json are there."""
    tool_parser: bool = False
    """--tool-call-parser names one."""
    automatic_tools: bool = False
    """--enable-auto-tool-choice."""
    vocabulary: int = 128_256
    """Tokens that the model knows (Llama 3's)."""
    teardown_s: float = 7.0
    """From the end of the last request in flight to the end of the engine, before the time scale. 5 to 12 s were
    measured on vLLM 0.32."""
    gpu_memory_file: str | None = None
    """Locked by the engine that has the machine's GPUs."""
    gpu_memory_utilization: float = 0.92
