"""Where RunPod is, with which key, what of it is offered, and what a stack may set in `clouds.runpod`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field, field_validator

from providers.renting.sections import parse_section
from strict.fields import Section

BASE_URL = "https://api.runpod.io"
KEY_VARIABLE = "RUNPOD_API_KEY"
KEYS_PAGE = "https://console.runpod.io/user/settings"
PODS_PAGE = "https://console.runpod.io/pods"

DEFAULT_IMAGE = "vllm/vllm-openai:v0.32.0"
"""vLLM's own image at the version of images/gpu/versions.toml. The bundle brings its own vLLM; what counts here is that
the image is Debian-like, has CUDA's libraries and is on most of RunPod's hosts already."""


@dataclass(frozen=True, slots=True)
class RunpodConfig:
    """How RunPod is reached. An empty key is refused when the cloud is first called, not before."""

    api_key: str = field(default="", repr=False)
    base_url: str = BASE_URL
    """The origin: REST is below /v2, GraphQL at /graphql."""

    @classmethod
    def from_environment(cls) -> RunpodConfig:
        """RUNPOD_API_KEY; CROSSOVER_RUNPOD_URL, else the SDK's RUNPOD_API_BASE_URL, else the vendor's."""
        url = os.environ.get("CROSSOVER_RUNPOD_URL") or os.environ.get("RUNPOD_API_BASE_URL") or BASE_URL
        return cls(api_key=os.environ.get(KEY_VARIABLE, "").strip(), base_url=url.rstrip("/"))


@dataclass(frozen=True, slots=True)
class PodSize:
    """One size of one GPU type, on demand or interruptible."""

    gpu_id: str
    """RunPod's identifier of the GPU type."""
    gpu_memory_gib: int
    count: int
    interruptible: bool


GPUS = {"a100-sxm-80gb": ("NVIDIA A100-SXM4-80GB", 80)}
"""Our name → (RunPod's identifier, GiB each). Another GPU type is another line."""
COUNTS = (1, 2, 4, 8)
KINDS = {"secure": False, "spot": True}
"""Both on secure-cloud hardware, RunPod's own; "spot" is interruptible."""

SKUS = {
    f"{count}x-{name}-{kind}": PodSize(gpu_id, memory_gib, count, interruptible)
    for name, (gpu_id, memory_gib) in GPUS.items()
    for kind, interruptible in KINDS.items()
    for count in COUNTS
}

ANY = "any"
"""The region that leaves the data centre to RunPod's scheduler."""


class RunpodSettings(Section):
    """The section `clouds.runpod` of a stack."""

    image: str = DEFAULT_IMAGE
    """With an exact tag or digest: "latest" would be another machine after each rental."""
    disk_gb: Annotated[int, Field(ge=20, strict=True)] = 200
    """Container disk in GB; RunPod wipes it when the pod is stopped or reset."""
    volume_id: Annotated[str, Field(min_length=1)] | None = None
    """A network volume that exists; it pins the data centre, is never created nor deleted here, and outlives pods."""
    volume_mount_path: Annotated[str, Field(pattern=r"^/.+")] = "/models"
    min_cuda_version: Annotated[str, Field(pattern=r"^\d+\.\d+$")] = "13.0"
    """The oldest CUDA version of a host's driver: vLLM is built for CUDA 13 (images/gpu/versions.toml)."""

    @field_validator("image")
    @classmethod
    def _exact(cls, image: str) -> str:
        tag = image.rpartition("/")[2].partition(":")[2]  # a digest's hexadecimal part counts as one
        if tag in ("", "latest") or any(character.isspace() for character in image):
            raise ValueError(f"must have an exact tag or digest, as {DEFAULT_IMAGE} has")
        return image


def parse(settings: Mapping[str, Any]) -> RunpodSettings:
    """Raises InvalidRequest that names each key that is wrong, as `clouds.runpod.<key>`."""
    return parse_section(RunpodSettings, "runpod", settings)
