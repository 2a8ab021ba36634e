"""Whether containers are made of an image that cannot change: a tag may move, a digest may not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from images.engines.common.base import GPUS
from images.engines.common.registry import engine
from images.gpu import matrix
from providers import registry
from providers.base import Capability
from providers.preflight import Check, Grade
from stacks import runtime
from stacks.served import Serving
from strict.problems import Problems, parse

REMEDY = "set serving.image to it with @sha256:…, as `docker buildx imagetools inspect IMAGE` tells it"


def image(values: Mapping[str, Any], clouds: Iterable[str]) -> list[Check]:
    """A line for each of these clouds that rents containers, where they serve by GPUs. `values` are the stack's
    configuration by key."""
    try:
        serving = parse(Serving, values.get("serving", {}))
    except Problems:
        return []  # `up` tells it
    if GPUS not in engine(serving.engine).capabilities:
        return []
    sections = values.get("clouds", {})
    made_of = {
        cloud: sections.get(cloud, {}).get(runtime.IMAGE) or serving.image or matrix.image()
        for cloud in sorted(clouds)
        if registry.can(cloud, Capability.CONTAINER)
    }
    return [_check(cloud, name) for cloud, name in made_of.items()]


def _check(cloud: str, name: str) -> Check:
    if "@sha256:" in name:
        return Check(f"image at {cloud}", Grade.OK, name)
    return Check(f"image at {cloud}", Grade.WARN, f"{name}: its tag may move, and no digest is recorded", REMEDY)
