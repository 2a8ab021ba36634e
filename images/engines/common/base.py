"""What is to know of an engine. Whoever needs it asks; only the engine's own file spells it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from images.bundle import PythonEnvironment, Runtime, RuntimeKind, Source
from images.engines.common.flags import Argument
from strict.names import SERVING_PORT

SERVICE = SERVING_PORT
"""What is called so whatever the engine: its port and its supervised service, HAProxy's backend of nodes, Prometheus'
job of them. States, units and series hold the name."""
API_KEY_SECRET = "vllm-api-key"
"""The secret that holds the nodes' key, whatever the engine: states and machines hold the name."""
FORMER_KEY_SECRET = "former-vllm-api-key"
"""The secret that holds the key that nodes take beside it, while one generation of keys follows another."""
CERTIFICATE_SECRET = "tls.crt"
PRIVATE_KEY_SECRET = "tls.key"
"""The secrets of a node's own certificate, by which it serves."""
CLIENT_CERTIFICATE_SECRET = "client.pem"
"""The secret that whoever reaches a node shows it: the stack's client certificate and its key, in one PEM."""
CANARY_HEADER = "x-crossover-canary"
"""By which a node's guard knows the gateway's canary. Its own file, on the node, spells it too."""

GPUS = "gpus"
"""Capability: it runs on GPUs, and the machine must have them."""
WEIGHTS = "weights"
"""Capability: it reads a model's files, which have to be on the machine."""
RATES = "rates"
"""Capability: how fast it serves is told by `EngineOptions.simulation`."""


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """What an engine is told, in vLLM's own words. Raises ValueError for what none could serve."""

    model: str
    """Hugging Face name or a path on the node."""
    served_names: tuple[str, ...]
    """What clients ask for, at least one."""
    max_model_len: int = 32_768
    """Tokens, prompt and answer together."""
    max_num_seqs: int = 128
    """Requests batched at a time."""
    max_num_queued_reqs: int = 256
    """Requests in flight, running ones included, beyond which the node answers 503."""
    tensor_parallel_size: int = 8
    shutdown_timeout_s: int = 30
    """How long requests in flight may still run once the node is to stop. vLLM's own default aborts them."""
    client_ca: str = ""
    """Path, tokens allowed, of the CA that a client's certificate must come from. Empty: nobody is asked for one."""
    middleware: tuple[str, ...] = ()
    """Classes around its web application, importable there, in the order in which they are given."""
    dtype: str | None = None
    quantization: str | None = None
    tool_call_parser: str | None = None
    """Without it a request with tools is refused."""
    reasoning_parser: str | None = None
    chat_template: Source | None = None
    """In place of the one that the weights bring."""
    gpu_memory_utilization: Decimal | None = None
    """Share of a GPU's memory, in (0, 1]."""
    arguments: Mapping[str, Argument] = field(default_factory=dict)
    """vLLM's flags, without their dashes, beyond those that the fields above make: `engines.arguments` says which."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables of its process, beyond those that it needs."""
    simulation: Mapping[str, str] = field(default_factory=dict)
    """An engine's rates, where it has the capability RATES: {"decode-tokens-per-s": "2000"}."""

    def __post_init__(self) -> None:
        if not self.model or not self.served_names or not all(self.served_names):
            raise ValueError("a node needs a model and at least one name to serve it under")
        numbers = (self.max_model_len, self.max_num_seqs, self.max_num_queued_reqs, self.tensor_parallel_size)
        if min(numbers) < 1 or self.shutdown_timeout_s < 0:
            raise ValueError("lengths, counts and sizes are at least 1, and a time-out is not negative")


@dataclass(frozen=True, slots=True)
class EngineNeeds:
    """What has to be on a machine before the engine can start there."""

    program: tuple[str, ...]
    """The words that start it, before those of `Engine.command`; tokens allowed."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Of its process; tokens allowed."""
    environments: tuple[PythonEnvironment, ...] = ()
    sources: tuple[Source, ...] = ()
    programs: tuple[str, ...] = ()
    """On the machine's PATH."""
    directories: tuple[str, ...] = ()
    """Data folders below @ROOT@."""
    runtime: Runtime | None = None
    """How the program gets there, where that is a choice; whose versions will do, the bundle adds."""


@dataclass(frozen=True, slots=True)
class HealthPath:
    """Where it says that it lives, with 200."""

    path: str
    deadline_s: int
    """From its start to that answer, weights loaded: a slow disk's."""


@dataclass(frozen=True, slots=True)
class Canary:
    """A request that only an engine that works can answer: one that hangs may call itself healthy."""

    path: str
    body: Callable[[str, str], dict[str, Any]]
    """Served model and prompt → the body of a request for one token."""
    busy: tuple[int, ...]
    """Statuses by which it refuses more work: busy is not broken."""


@dataclass(frozen=True, slots=True)
class EngineMetrics:
    """Counters at /metrics, by what they count."""

    namespace: str
    """The names are `namespace:rest`."""
    model_label: str
    prompt_tokens: str
    cached_tokens: str
    """Those of the prompt that its prefix cache had."""
    generated_tokens: str


@dataclass(frozen=True, slots=True)
class Engine:
    """One engine."""

    name: str
    """What `serving.engine` says."""
    title: str
    """Its name in sentences."""
    port: int
    """Where it listens on a machine that has its network to itself."""
    command: Callable[[EngineOptions], tuple[str, ...]]
    """The words behind its program; tokens allowed. It listens on @BIND@ and @PORT:…@ of SERVICE, with TLS."""
    key_variable: str
    """The variable by which its process is told the key that clients must send."""
    health: HealthPath
    canary: Canary
    metrics: EngineMetrics
    needs: Callable[[RuntimeKind], EngineNeeds]
    """By how its program gets onto the machine, where that is a choice."""
    capabilities: frozenset[str] = frozenset()
    arguments: frozenset[str] | None = None
    """The flags that `EngineOptions.arguments` may hold; None is all of vLLM's."""
    log_words: Path | None = None
    """What lines of its log mean: a file for `images.engines.common.words`."""
    teardown_s: int = 10
    """From the end of what it had begun to the end of its processes."""
    after: tuple[str, ...] = ()
    """systemd units that are started before it, on a machine that has them."""
    locks_memory: bool = False
    """It pins memory, as much as it wants."""
