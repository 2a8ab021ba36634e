"""Whether what is served fits the machines' GPUs, said before anything is rented; what is not known is said too.

Refused is what vLLM refuses when it starts: GPUs that are not there or cannot share the model's heads, weights that do
not fit, a context longer than the model's or than the cache. Fewer requests than `maxNumSeqs` at full length are no
error: vLLM makes the others wait.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from cost_guard.arithmetic.memory import GIB, UTILISATION, Footing, MachineGpus, ServingSizes, divides, footing
from cost_guard.catalogue.catalogue import load_catalogue
from cost_guard.catalogue.machines import GpuMachine
from cost_guard.catalogue.models import KnownModel, Shape, load_models
from cost_guard.scenario.fleet import LadderCandidate
from images.bundle import PromisedGpus, RuntimeKind
from images.engines.common.base import GPUS
from providers import registry
from providers.base import Capability
from providers.errors import CloudError
from stacks.served import ServedModel, Serving

_KEY = "crossover:serving"
_STEP_TOKENS = 256
"""A context that is proposed is a multiple of it."""
_PAST_THE_RECKONING = (
    *("kv-cache-memory-bytes", "num-gpu-blocks-override", "cpu-offload-gb", "offload-backend"),
    *("speculative-config", "spec-model"),
)
"""Flags by which vLLM's memory is another than reckoned here."""


_VISIBLE = Decimal("0.98")
"""Of a GPU's nominal memory, what CUDA reports: 79.1 of 80, 39.3 of 40 (gpus.toml)."""


@dataclass(frozen=True, slots=True)
class Fit:
    """What is to be said of one model."""

    refusals: tuple[str, ...] = ()
    """Each with its key, and the nearest that fits."""
    notes: tuple[str, ...] = ()


def fit(model: ServedModel) -> Fit:
    """Of a model on every machine that its nodes may get. Nothing, where the engine needs no GPU."""
    if GPUS not in model.engine.capabilities:
        return Fit()
    serving, row = model.serving, load_models().get(model.serving.model)
    shape = model.shape or (None if row is None else row.shape)
    notes = _parser_notes(serving, row)
    if shape is None:
        return Fit(notes=(*notes, f"memory is not checked: {serving.model} is in no table; {_how()}"))
    if past := [flag for flag in _PAST_THE_RECKONING if flag in serving.engine_args]:
        notes.append(f"memory is not checked: engineArgs.{past[0]} sets it")
    refusals: list[str] = []
    if serving.max_model_len > shape.context and "hf-overrides" not in serving.engine_args:  # those may stretch it
        refusals.append(
            f"{_KEY}.maxModelLen: {serving.max_model_len}, and {serving.model} was made for {shape.context} tokens; "
            f"the nearest that fits is {shape.context}"
        )
    for sku, machine in _machines(model).items():
        if machine is None:
            notes.append(f"memory is not checked at {sku}: no row of catalogue/data/prices.toml names its machine")
        elif why := _size_problem(serving, shape, machine, sku, reckon=not past):
            refusals.append(why)
        elif not past:
            found = footing(shape, _wanted(serving), machine)
            if short := _length_problem(serving, machine, found, sku):
                refusals.append(short)
            else:
                notes.append(_told(serving, found, machine, sku))
    return Fit(tuple(dict.fromkeys(refusals)), tuple(dict.fromkeys(notes)))


def _parser_notes(serving: Serving, row: KnownModel | None) -> list[str]:
    """What the model's own words need, and nobody asked for."""
    if row is None:
        return []
    return [
        f"{_KEY}.{key} is not set: {without}; {serving.model} needs {parser}"
        for key, parser, asked, without in (
            ("toolCallParser", row.tool_call_parser, serving.tool_call_parser, "requests with tools are refused"),
            ("reasoningParser", row.reasoning_parser, serving.reasoning_parser, "answers begin with the reasoning"),
        )
        if parser is not None and asked is None
    ]


def _how() -> str:
    return "give its config.json, as a file of the repository, by serving.modelConfig"


def _machines(model: ServedModel) -> dict[str, MachineGpus | None]:
    """`cloud/sku` → the GPUs there, None where nobody knows them."""
    rungs = (candidate for node in model.fleet.nodes.values() for candidate in node.candidates)
    found = {}
    for rung in rungs:
        sku = rung.stands_for or f"{rung.cloud}/{rung.sku}"
        if sku not in found:
            found[sku] = _owned(rung) or _listed(sku)
    return found


def promised(model: ServedModel, kind: RuntimeKind) -> tuple[PromisedGpus, ...]:
    """What the machines are sold as that get the engine that way; empty where the table lacks one of them, for nothing
    is held against a guess."""
    nodes = ((key, candidate) for key, node in model.fleet.nodes.items() for candidate in node.candidates)
    skus = {f"{rung.cloud}/{rung.sku}" for key, rung in nodes if model.runtimes(key)[rung.cloud] == kind}
    rows = [_sold(sku) for sku in sorted(skus)]
    if None in rows:
        return ()
    # The table's "A100 80 GB" is nvidia-smi's "A100" and "80GB".
    sold = (PromisedGpus(row.gpu.replace(" GB", "GB"), row.gpus) for row in rows if row is not None)
    return tuple(dict.fromkeys(sold))


def _sold(sku: str) -> GpuMachine | None:
    catalogue = load_catalogue()
    return catalogue.machines.get(catalogue.machine_of(sku) or "")


def _listed(sku: str) -> MachineGpus | None:
    row = _sold(sku)
    return None if row is None else MachineGpus(row.gpus, row.gpu, row.memory_gib)


def _owned(rung: LadderCandidate) -> MachineGpus | None:
    """What the list of machines that are yours says; of several, the least."""
    if not registry.can(rung.cloud, Capability.OWNED):
        return None
    try:
        offers = [offer for offer in registry.cloud(rung.cloud).offers() if offer.sku == rung.sku and offer.gpus]
    except CloudError:
        return None  # there is no list yet, or it cannot be read: who rents says so
    least = min(offers, key=lambda offer: (offer.gpu_memory_gib, offer.gpus), default=None)
    if least is None or not least.gpu_memory_gib:
        return None
    return MachineGpus(least.gpus, f"{least.gpu_memory_gib} GB", least.gpu_memory_gib * _VISIBLE)


def _wanted(serving: Serving) -> ServingSizes:
    full = serving.dtype in ("float", "float32")
    cache = str(serving.engine_args.get("kv-cache-dtype", "auto"))
    return ServingSizes(
        tensor_parallel_size=serving.tensor_parallel_size,
        max_model_len=serving.max_model_len,
        utilisation=serving.gpu_memory_utilization or UTILISATION,
        quantization=serving.quantization,
        weight_type_bytes=4 if full else 2,
        kv_type_bytes=1 if cache.startswith("fp8") else 4 if full and cache == "auto" else 2,
    )


def _size_problem(serving: Serving, shape: Shape, machine: MachineGpus, sku: str, *, reckon: bool) -> str | None:
    """Why the model cannot be cut so on that machine."""
    wanted, size = _wanted(serving), serving.tensor_parallel_size
    found = footing(shape, wanted, machine) if reckon else None
    if size > machine.count:
        why = f"{sku} has {machine.count} GPUs"
    elif not divides(shape, size):
        why = f"{shape.heads} heads and {shape.kv_heads} KV heads cannot be shared by {size} GPUs"
    elif found is not None and found.kv_bytes <= 0:
        room = found.kv_bytes + found.weight_bytes
        why = f"{_gib(found.weight_bytes)} GiB of weights a GPU, and {machine.name} at {sku} has {_gib(room)} for them"
    else:
        return None
    sizes = [other for other in range(1, machine.count + 1) if divides(shape, other)]
    good = [other for other in sizes if not reckon or _holds(shape, wanted, machine, other)]
    if not good:
        return f"{_KEY}.model: {serving.model} does not fit {sku} at any size: {why}; {_smaller(serving, shape)}"
    near = min(good, key=lambda other: (abs(other - size), -other))
    return f"{_KEY}.tensorParallelSize: {size}, but {why}; the nearest that fits is {near}"


def _smaller(serving: Serving, shape: Shape) -> str:
    quantized = serving.quantization or shape.quantization
    return "take a machine with more memory" + ("" if quantized else ", or quantized weights (serving.quantization)")


def _holds(shape: Shape, wanted: ServingSizes, machine: MachineGpus, size: int) -> bool:
    found = footing(shape, replace(wanted, tensor_parallel_size=size), machine)
    return found is None or found.kv_bytes > 0


def _length_problem(serving: Serving, machine: MachineGpus, found: Footing | None, sku: str) -> str | None:
    if found is None or found.sequences > 0:
        return None
    longest = found.kv_tokens // _STEP_TOKENS * _STEP_TOKENS
    cure = f"the nearest that fits is {longest}" if longest else "no length fits: take more GPUs or smaller weights"
    return (
        f"{_KEY}.maxModelLen: {serving.max_model_len}, and {_gib(found.kv_bytes)} GiB of cache a GPU ({machine.name} "
        f"at {sku}) hold {found.kv_tokens} tokens; {cure}"
    )


def _told(serving: Serving, found: Footing | None, machine: MachineGpus, sku: str) -> str:
    if found is None:
        return f"memory is not checked: how many bytes the weights of {serving.model} have is not known"
    waits = "" if found.sequences >= serving.max_num_seqs else f", the rest of maxNumSeqs {serving.max_num_seqs} waits"
    return (
        f"memory at {sku}, {serving.tensor_parallel_size} of {machine.count} GPUs: {_gib(found.weight_bytes)} GiB of "
        f"weights and {_gib(found.kv_bytes)} GiB of cache each, for {found.kv_tokens} tokens: {found.sequences} "
        f"requests of {serving.max_model_len} at once{waits}"
    )


def _gib(size_bytes: int) -> str:
    return f"{size_bytes / GIB:.1f}"
