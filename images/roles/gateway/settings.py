"""What the gateway is told: its settings (stack config, camelCase) and the nodes it stands in front of."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from strict.fields import HOST_NAME, Address, ModelName, SecretName, Section, Url, Usd, in_clear, model_name

_KEY = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")
MAX_BUFFER_BYTES = 4_194_304
_BYTES_PER_TOKEN = 8
"""Of a long request's body, more than there are: JSON's \\uXXXX takes six for a character, English four a token."""
RESERVED_SERVER = "spill"
"""HAProxy's name for the way to LiteLLM; no node may have this key."""


def _key(value: str) -> str:
    if not _KEY.fullmatch(value) or value == RESERVED_SERVER:
        raise ValueError(f"{value!r} is no key: lower-case letters, digits and inner dashes, not {RESERVED_SERVER!r}")
    return value


class GatewayModel(Section):
    """One model of a managed API, served through LiteLLM."""

    name: ModelName
    """What clients ask for."""
    model: ModelName
    """LiteLLM's own name of it, provider first, e.g. "openai/gpt-4o"."""
    api_base: Url | None = None
    """Where it is asked; None means the provider's own address, or the stand-in where `standIn` is set."""
    api_key_secret: SecretName = "managed-api-key"
    """Name of the secret that holds the key."""

    @field_validator("api_base")
    @classmethod
    def _key_is_not_sent_in_clear(cls, value: str | None) -> str | None:
        if value is not None and in_clear(value):
            raise ValueError(f"{value}: the key would travel in clear; say https:// (http is for loopback)")
        return value


class GatewaySettings(Section):
    """The gateway, all of it. The defaults serve self-hosted models alone, by least connections."""

    placement: Literal["own", "nodes"] = "own"
    """Where it runs: `own` is a machine of its own, `gatewayNode`; with `nodes` every node carries one."""
    tls_server_name: Annotated[str, Field(pattern=f"^{HOST_NAME}$")] | None = None
    """Name in the endpoint's certificate, which the fleet's own CA signs. None serves plain HTTP, which is only for a
    gateway on this computer: the key would travel in clear."""
    managed: tuple[GatewayModel, ...] = ()
    fallback: str | None = None
    """Name of the managed model that answers when no node can; None means a 503 that says so."""
    managed_budget_usd_per_month: Usd | None = None
    """The most that managed models may cost a month: part of what the gate calls the worst case, and of its budget."""
    stand_in: bool = False
    """Runs the vLLM simulator on the gateway as the managed API: for machines without an account anywhere."""
    cache_ttl_seconds: int = Field(600, ge=0, le=30 * 86400)
    """How long LiteLLM answers an identical managed request from Redis; 0 turns the cache off."""

    max_connections_per_node: int | None = Field(None, ge=1, le=4096)
    """Requests in flight per node; None is as many as it batches, `serving.maxNumSeqs`: the queue is here."""
    queue_timeout_ms: int = Field(3000, ge=10, le=60_000)
    """How long a request waits for a free slot before the fallback gets it, or it is refused with 503."""
    spill_queue: int = Field(16, ge=0, le=10_000)
    """With a fallback: requests go to it at once while no slot is free and at least this many already wait."""
    buffer_bytes: int | None = Field(None, ge=16_384, le=MAX_BUFFER_BYTES)
    """Longest request that is routed by its model and replayed on another node; None is what a request of
    `serving.maxModelLen` tokens needs."""
    request_timeout_seconds: int = Field(600, ge=10, le=7200)
    """Longest silence of a node within a request, first byte included. A stream that moves is never cut."""
    balance: Literal["leastConnections", "prefixHash"] = "leastConnections"
    """`prefixHash` keeps equal beginnings of prompts on one node, for vLLM's prefix cache, with bounded load."""
    prefix_bytes: int = Field(64, ge=8, le=4096)
    """How much of the first message (or prompt) `prefixHash` looks at."""
    prefix_load_percent: int = Field(150, ge=101, le=400)
    """The most a node may carry under `prefixHash`, in percent of the average."""
    health_interval_ms: int = Field(2000, ge=100, le=60_000)
    """Time between two health checks of a node: /health, then a canary completion of one token."""
    canary_timeout_ms: int = Field(8000, ge=100, le=120_000)
    """How long a canary may take before it is a strike."""
    canary_strikes: int = Field(3, ge=2, le=20)
    """Failed checks in a row that take a node out of rotation."""

    @model_validator(mode="after")
    def _consistent(self) -> GatewaySettings:
        names = [m.name for m in self.managed]
        if twice := sorted({n for n in names if names.count(n) > 1}):
            raise ValueError(f"managed: {', '.join(twice)} stands there more than once")
        if self.fallback is not None and self.fallback not in names:
            known = ", ".join(names) or "none is set"
            raise ValueError(f"fallback: {self.fallback!r} is not among the managed models ({known})")
        self._check_stand_in()
        return self

    def _check_stand_in(self) -> None:
        if not self.stand_in:
            return
        played = self.stood_in
        if not played:
            raise ValueError("standIn: no managed model without an apiBase, so there is nothing to stand in for")
        if other := [m.name for m in played if not m.model.startswith("openai/")]:
            raise ValueError(f"standIn: it speaks OpenAI's API only; {', '.join(other)} must be openai/…")
        if len({m.api_key_secret for m in played}) > 1:
            raise ValueError("standIn: the models it plays must share one apiKeySecret")

    def sized(self, max_num_seqs: int, max_model_len: int) -> GatewaySettings:
        """These, with what was left out made to fit nodes that batch so many requests, of up to so many tokens."""
        usual = GatewaySettings()
        fitting = min(max(usual.request_buffer_bytes, _BYTES_PER_TOKEN * max_model_len), MAX_BUFFER_BYTES)
        return self.model_copy(
            update={
                "max_connections_per_node": self.max_connections_per_node or max_num_seqs,
                "buffer_bytes": self.buffer_bytes or fitting,
            }
        )

    @property
    def slots_per_node(self) -> int:
        """Requests in flight per node. Unless sized: of nodes with the usual `serving`."""
        return self.max_connections_per_node or 128

    @property
    def request_buffer_bytes(self) -> int:
        """What a request must fit to be routed and replayed. Unless sized: of nodes with the usual `serving`."""
        return self.buffer_bytes or _BYTES_PER_TOKEN * 32_768

    @property
    def stood_in(self) -> tuple[GatewayModel, ...]:
        """The managed models that the stand-in plays."""
        return tuple(m for m in self.managed if m.api_base is None) if self.stand_in else ()

    @property
    def paid_fallback(self) -> bool:
        """Whether a managed model that bills money answers when no node can."""
        return self.fallback is not None and self.fallback not in {model.name for model in self.stood_in}

    def check_served(self, served_names: tuple[str, ...]) -> None:
        """Raises ValueError unless `served_names`, what the nodes serve, are names and none is a managed one."""
        if not served_names:
            raise ValueError("no served model name")
        for name in served_names:
            model_name(name)
        if both := sorted(set(served_names) & {m.name for m in self.managed}):
            raise ValueError(f"managed: {', '.join(both)} is the name of the self-hosted model too")


class Peer(Section):
    """A node as the gateway and Prometheus reach it. It need not be up, nor ready."""

    key: Annotated[str, AfterValidator(_key)]
    address: Address
    port: int = Field(ge=1, le=65535)
    server_name: Annotated[str, Field(pattern=f"^{HOST_NAME}$")]
    """The name in its certificate."""

    @property
    def target(self) -> str:
        """`address:port`, IPv6 in brackets."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"

    @property
    def is_host_name(self) -> bool:
        """Whether the address must be resolved."""
        try:
            ipaddress.ip_address(self.address)
        except ValueError:
            return True
        return False
