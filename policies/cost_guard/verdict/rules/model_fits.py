"""Rule model-fits: the model's weights and requests fit the GPUs that are to serve it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cost_guard.codes import Level, Severity
from cost_guard.verdict.rule import Objection, Question, VerdictRule

if TYPE_CHECKING:  # to start faster: see `verdict.rule`
    from cost_guard.catalogue.machines import GpuMachine
    from cost_guard.catalogue.models import Shape
    from cost_guard.scenario.sections.beside import ServedAs

MEMORY_SHARE = (9, 10)
"""Of a GPU's memory, what weights and requests may take: numerator, denominator."""
LEAST_SEQUENCES, FEW_SEQUENCES = 1, 8
"""Requests of the full length that must fit at once, and that should."""


def find(asked: Question) -> Objection | None:
    """Of each machine that a rung rents: whether it can share the model, and holds weights and full requests."""
    # Here, and not at the top, to start faster: see `verdict.rule`.
    from cost_guard.scenario.sections.beside import ServedAs

    model, served = asked.proposal.scenario.workload.model, asked.proposal.served or ServedAs()
    machines = {one.machine.key: one.machine for one in asked.facts.rungs.values() if one.machine is not None}
    if model is None or not machines:
        return None
    shape = _shape(asked, served)
    if shape is None:
        return Objection(
            Level.WARN,
            f"{model} is not in the table of models, so nobody knows whether it fits; give its config.json by "
            "serving.modelConfig, or add its row to the pack's data/models.toml.",
        )
    found = [one for machine in machines.values() if (one := _on(model, shape, served, machine))]
    if not found:
        return None
    blocks = any(one.level is Level.BLOCK for one in found)
    return Objection(Level.BLOCK if blocks else Level.WARN, " ".join(one.message for one in found))


def _shape(asked: Question, served: ServedAs) -> Shape | None:
    """The catalogue's, else that of its own config.json: who grows brings no scale for what is known."""
    from cost_guard.catalogue.models import shape_from  # to start faster

    known = asked.catalogue.model(asked.proposal.scenario.workload.model or "")
    if known is not None:
        return known.shape
    return None if served.shape is None else shape_from(served.shape)


def _on(model: str, shape: Shape, served: ServedAs, machine: GpuMachine) -> Objection | None:
    from cost_guard.arithmetic.memory import GIB, ServingSizes, divides, request_bytes, weight_bytes  # to start faster

    size = served.tensor_parallel_size or machine.gpus
    if machine.gpus % size or not divides(shape, size):
        heads = f"{shape.heads} heads and {shape.kv_heads} KV heads"
        return Objection(
            Level.BLOCK, f"{size} GPUs cannot share {model} on {machine.key}: it has {heads}, {machine.gpus} GPUs."
        )
    wanted = ServingSizes(
        tensor_parallel_size=size,
        max_model_len=served.max_model_len,
        quantization=served.quantization,
        weight_type_bytes=served.weight_type_bytes,
        kv_type_bytes=served.kv_type_bytes,
    )
    whole = weight_bytes(shape, wanted)
    if whole is None:
        return Objection(Level.WARN, f"how many bytes the weights of {model} have is not known.")
    part, of = MEMORY_SHARE
    room = int(machine.memory_gib * GIB) * part // of
    weights, request = -(-whole // size), request_bytes(shape, wanted, served.max_model_len)
    fit = (room - weights) // max(1, request)
    if fit >= FEW_SEQUENCES:
        return None
    text = (
        f"{model} on {machine.key} takes {weights / GIB:.1f} GiB of weights a GPU and {request / GIB:.2f} GiB for a "
        f"request of {served.max_model_len:,} tokens, of {room / GIB:.1f} GiB"
    )
    if fit < LEAST_SEQUENCES:
        return Objection(
            Level.BLOCK, f"{text}: it does not fit. More GPUs, quantized weights, or a shorter maxModelLen."
        )
    return Objection(Level.WARN, f"{text}: {fit} of such requests fit at once.")


RULE = VerdictRule(
    code="model-fits",
    position=35,
    severity=Severity.CRITICAL,
    demand="The model must fit the GPUs of every rung.",
    remedy="Choose machines with more memory, quantized weights, or a shorter serving.maxModelLen.",
    key=("serving",),
    asks=Question,
    find=find,
)
