"""What the gate is told beside the scenario: how the nodes serve their model, what the gateway may spend, and what the
program makes besides nodes that a vendor bills."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from strict.fields import Flag, Name, Section, Text, Usd
from strict.numbers import Number, Whole

Amount = Annotated[Decimal, Number(at_least="0", at_most="1e9")]

PLANNED_CONTEXT_TOKENS = 8192
"""The longest context of a plan, which has no serving."""


class ServedAs(Section):
    """How each node serves the model: what decides whether it fits a machine's GPUs."""

    tensor_parallel_size: Annotated[int, Whole(at_least="1", at_most="1024")] | None = None
    """GPUs that share a copy of the model; None is all of a machine's."""
    max_model_len: Annotated[int, Whole(at_least="1", at_most="1e9")] = PLANNED_CONTEXT_TOKENS
    """Tokens of the longest request, prompt and answer."""
    quantization: Name | None = None
    """In place of the published weights' own."""
    weight_type_bytes: Annotated[int, Whole(at_least="1", at_most="8")] = 2
    """Of a weight that is not quantized."""
    kv_type_bytes: Annotated[int, Whole(at_least="1", at_most="8")] = 2
    shape: dict[str, int | str] | None = None
    """`catalogue.models.Shape` by its fields, of a model that the catalogue may lack."""


class GatewaySpend(Section):
    """What the gateway may spend at managed APIs while nodes cannot answer."""

    managed_budget_usd_per_month: Usd | None = None
    paid_fallback: Flag = False
    """Whether its fallback bills money."""


NO_SPEND = GatewaySpend()


class BilledResource(Section):
    """Something that is paid for besides the nodes of a fleet: which price it has, and how much of it there is."""

    row: Name
    """`cloud/service/kind` of resources.toml; of an instance `cloud/type`, as in prices.toml."""
    what: Text
    """E.g. "disk of 500 GB gp3"."""
    region: str = ""
    """Where it is, as far as that is known."""
    count: Annotated[int, Whole(at_least="1", at_most="1e6")] = 1
    gb: Amount = Decimal(0)
    """Of each."""
    iops: Amount = Decimal(0)
    mbps: Amount = Decimal(0)
    """MB/s."""
