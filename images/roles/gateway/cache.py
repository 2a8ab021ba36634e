"""redis.conf: the cache behind LiteLLM, in memory only and never larger than set."""

from __future__ import annotations

REDIS_MAX_MEMORY_MIB = 128


def render_redis_conf() -> str:
    """The file, tokens unresolved. The password is in the secret `redis.conf`, one line: `requirepass <password>`."""
    lines = [
        "bind 127.0.0.1",
        "port @PORT:redis@",
        'include "@SECRET:redis.conf@"',
        'dir "@ROOT@/data/redis"',
        "daemonize no",
        'logfile ""',
        "# Nothing is kept over a restart: what it holds can be asked again.",
        'save ""',
        "appendonly no",
        f"maxmemory {REDIS_MAX_MEMORY_MIB}mb",
        "maxmemory-policy allkeys-lru",
    ]
    return "\n".join(lines) + "\n"
