"""How an engine's program gets onto a node, by what the node's clouds can do; and what a preview says of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from images.bundle import RuntimeKind
from images.gpu import matrix
from providers import registry
from providers.base import Capability

IMAGE = "image"
"""The key of a cloud's own section that names what its containers are made of."""


def runtime_at(cloud: str, wanted: RuntimeKind | None) -> RuntimeKind:
    """What is wanted; else a container has its image, a machine of the user's what its owner put there, and any other
    machine gets an environment."""
    if wanted is not None:
        return wanted
    if registry.can(cloud, Capability.CONTAINER):
        return "image"
    kept = registry.can(cloud, Capability.OWNED) or registry.can(cloud, Capability.THIS_COMPUTER)
    return "machine" if kept else "environment"


def check(wanted: RuntimeKind | None, image: str | None, clouds: Iterable[str]) -> None:
    """Raises ValueError, which begins with the key, for what one of these clouds cannot give."""
    containers = {cloud: registry.can(cloud, Capability.CONTAINER) for cloud in clouds}
    remedy = "leave runtime out, and each node gets what its cloud is for"
    for cloud, container in containers.items():
        if wanted == "image" and not container:
            raise ValueError(f"runtime: {cloud} rents no containers, which alone have an image; {remedy}")
        if wanted == "machine" and container:
            raise ValueError(f"runtime: nobody but us puts vLLM into a container of {cloud}; say image, or {remedy}")
    if image is not None and not any(containers.values()):
        raise ValueError("image: no candidate rents containers, which alone are made of one; take it away")


def tag(image: str) -> str:
    """The tag that says exactly which image; empty for none, and for one that is another image tomorrow."""
    exact = image.partition("@")[0].rpartition("/")[2].partition(":")[2]
    return "" if exact == "latest" else exact


def container_image(cloud: str, image: str | None, section: Mapping[str, Any]) -> str | None:
    """What the cloud has to be told, beside its section, of what to make containers of: `serving.image`, or the pinned
    image where its digest is known. None leaves it to the section, or to the cloud's default."""
    if not registry.can(cloud, Capability.CONTAINER) or IMAGE in section:
        return None
    return image or matrix.fixed_image()


def told(key: str, runtimes: Mapping[str, RuntimeKind], images: Mapping[str, str]) -> list[str]:
    """A line for each way in which that node may come by its vLLM: what will be on it. `runtimes` and `images`, of
    containers, are by cloud. Raises NotAllowed for what the matrix does not allow."""
    lines = {kind: _line(kind, images.get(cloud)) for cloud, kind in runtimes.items()}
    one = len(lines) == 1
    return [f"node {key}{'' if one else f' at {_at(kind, runtimes)}'}: {line}" for kind, line in lines.items()]


def _at(kind: RuntimeKind, runtimes: Mapping[str, RuntimeKind]) -> str:
    return " or ".join(cloud for cloud, other in runtimes.items() if other == kind)


def _line(kind: RuntimeKind, image: str | None) -> str:
    choice = matrix.chosen(kind)
    rest = f"CUDA {choice.cuda}, NVIDIA driver {choice.driver} or newer"
    if kind == "environment":
        return f"vLLM {choice.vllm} in an environment that is made there, {rest}"
    if kind == "machine":
        least = matrix.shipped()["minimum"]["vllm"]
        return f"the machine's own vLLM, {least} or newer (read of {choice.vllm}); {rest}"
    made_of = image or matrix.image()
    unpinned = "" if "@sha256:" in made_of else "; a tag may move: pin it by serving.image with @sha256:…"
    return f"vLLM of the image {made_of}, {rest}{unpinned}"
