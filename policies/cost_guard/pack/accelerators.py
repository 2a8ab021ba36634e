"""How the inputs of a resource name GPUs, or what stands in for them, by provider: names of machines, of accelerators,
of what a pod asks for. Of commands and dynamic resources all text is read, as they may rent what they like."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from cost_guard.pack.rule import unknown_value

EC2 = re.compile(r"(ml\.)?(p|g|gr|dl|inf|trn|vt)\d")
"""How EC2 types with GPUs, or with what stands in for them, begin: p4d, g6e, gr6, trn1; ml. at SageMaker."""
TEXT = re.compile(
    r"\b(?:ml\.)?(?:p|g|gr|dl|inf|trn|vt)\d[\w-]*\.(?:\d*x?large|metal[\w-]*)\b"  # EC2
    r"|\bStandard_N[A-Z]\w+"  # Azure
    r"|\b(?:a[2-9]x?|g[2-9])-(?:high|ultra|mega|edge|max|standard)gpu[\w-]*|\bg[2-9]-standard-\d+"  # Google
    r"|\bgpu_\d+x_\w+"  # Lambda
    r"|\bNVIDIA (?:A|B|GB|H|L|RTX )\d+\w*"  # RunPod
    r"|\b(?:nvidia|amd)\.com/gpu\b"
)
"""Names that mean a machine with GPUs wherever they stand."""


@dataclass(frozen=True)
class Namer:
    """Types of one provider, and where and how their inputs name GPUs."""

    types: tuple[str, ...]
    """Globs over resource types."""
    values: re.Pattern[str]
    """Found in a value; with `keys`, at its beginning or after a slash."""
    keys: re.Pattern[str] | None = None
    """The inputs whose values count, whole and in any case; None for all."""
    asked: re.Pattern[str] | None = None
    """Keys that by themselves ask for GPUs, in any number but none."""
    rents: bool = True
    """Whether what it names are machines that are rented; not so what runs on machines of others."""


NAMERS = (
    Namer(
        ("aws:*", "aws-native:*", "awsx:*", "eks:*"),
        EC2,
        re.compile(r"instance_?(types?|family)", re.IGNORECASE),
    ),
    # learn.microsoft.com, "Sizes for virtual machines": all of the GPU families begin with N.
    Namer(
        ("azure-native:*", "azure:*"),
        re.compile(r"(Standard|Basic)_N[A-Z]", re.IGNORECASE),
        re.compile(r"(vm_?)?size|sku|name|sku_?name", re.IGNORECASE),
    ),
    # cloud.google.com/compute/docs/gpus: accelerator-optimised families, and accelerators of other machines; ct: TPUs.
    Namer(
        ("gcp:*", "google-native:*"),
        re.compile(r"(a[2-9]x?|g[2-9]|ct\d\w*)-|nvidia-|tpu-", re.IGNORECASE),
        re.compile(r"(min_?)?machine_?types?|(guest_?)?accelerators?(_?type)?|type", re.IGNORECASE),
    ),
    # kubernetes.io, "Schedule GPUs": an extended resource by its vendor's name.
    Namer(
        ("kubernetes:*",),
        TEXT,
        rents=False,
        asked=re.compile(r"(nvidia|amd)\.com/(gpu|mig-).*|aws\.amazon\.com/neuron.*|google\.com/tpu|habana\.ai/gaudi"),
    ),
    Namer(
        ("command:*", "*:dynamic*", "aws:cloudformation/*", "aws:ssm/document:*", "terraform:*", "docker:*"),
        TEXT,
        rents=False,
    ),
)
TYPES = tuple(dict.fromkeys(glob for namer in NAMERS for glob in namer.types))
"""Globs over all types whose inputs are read."""


def accelerated(kind: str, props: Mapping[str, Any]) -> Iterator[str]:
    """The GPUs that a resource's inputs name. What is unknown in preview is known in `up`, before it is made."""
    for namer in NAMERS:
        if any(fnmatchcase(kind, glob) for glob in namer.types):
            yield from _named(namer, props)


def _named(namer: Namer, value: Any, key: str = "") -> Iterator[str]:
    if isinstance(value, str):
        yield from _in_text(namer, value, key)
    elif isinstance(value, Mapping | Sequence):
        for part in value if isinstance(value, Mapping) else range(len(value)):
            with suppress(unknown_value()):
                below = value[part]
                if namer.asked is not None and namer.asked.fullmatch(str(part)) and str(below).strip('"') not in NONE:
                    yield str(part)
                yield from _named(namer, below, str(part) if isinstance(value, Mapping) else key)


NONE = ("0", "0.0", "")
SINGLE = (
    "aws-native:ec2:Instance",
    "azure-native:compute*:VirtualMachine",
    "azure:compute/*irtualMachine:*",
    "gcp:compute/instance:Instance",
)
"""Globs over types of which a resource is one machine."""
SIZES = re.compile(
    r"(max_?|desired_?|target_?|initial_?|total_?max_?)?(size|capacity|(node_?|instance_?)?count)", re.IGNORECASE
)
"""The inputs that say how many machines a group may have."""


def machines(kind: str, props: Mapping[str, Any]) -> int | None:
    """How many machines a resource that names GPUs may rent; None where nothing tells. Raises UnknownValueError."""
    if not any(namer.rents for namer in NAMERS if any(fnmatchcase(kind, glob) for glob in namer.types)):
        return 0
    if any(fnmatchcase(kind, glob) for glob in SINGLE):
        return 1
    return max(_sizes(props), default=None)


def _sizes(value: Any, key: str = "") -> Iterator[int]:
    if isinstance(value, float | int) and not isinstance(value, bool) and SIZES.fullmatch(key):
        yield int(value)
    elif isinstance(value, Mapping):
        for part in value:
            yield from _sizes(value[part], str(part))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for index in range(len(value)):
            yield from _sizes(value[index], key)


def _in_text(namer: Namer, text: str, key: str) -> Iterable[str]:
    if namer.keys is None:
        return [match[0] for match in namer.values.finditer(text)]
    named = text.rpartition("/")[2]
    return [named] if namer.keys.fullmatch(key) and namer.values.match(named) else []
