"""What the cloud `vastai` reads from the environment, and what a stack may set for it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from providers.renting.sections import parse_section
from strict.fields import Section

BASE_URL = "https://console.vast.ai"
KEYS_PAGE = "https://cloud.vast.ai/manage-keys/"
INSTANCES_PAGE = "https://cloud.vast.ai/instances/"


@dataclass(frozen=True, slots=True)
class VastaiConfig:
    """Where the API is and with which key it is asked."""

    api_key: str = field(repr=False)
    base_url: str = BASE_URL
    """Without the path: most calls are below /api/v0, the listing below /api/v1."""

    @classmethod
    def from_environment(cls) -> VastaiConfig:
        """VAST_API_KEY; CROSSOVER_VASTAI_URL, where something else stands in for console.vast.ai."""
        return cls(
            api_key=os.environ.get("VAST_API_KEY", "").strip(),
            base_url=(os.environ.get("CROSSOVER_VASTAI_URL") or BASE_URL).rstrip("/"),
        )


class VastaiSettings(Section):
    """The section `clouds.vastai` of a stack. It counts at the next launch and changes no machine that exists."""

    model_config = ConfigDict(strict=True)

    image: Annotated[str, Field(min_length=1)] = "vllm/vllm-openai:v0.32.0"
    """A Debian-like image; its own entry point is not run. By default the pin of images/gpu/versions.toml."""
    disk_gb: Annotated[int, Field(ge=50)] = 400
    """Cannot be changed later. Vast bills it while a machine is stopped, too."""
    bid_usd_per_hour: Annotated[Decimal, Field(strict=False, ge=Decimal("0.001"), le=128)] | None = None
    """For interruptible SKUs; by default the candidate's ceiling. It never goes above the ceiling."""
    min_reliability: Annotated[float, Field(ge=0, le=1)] = 0.99
    min_days: Annotated[int, Field(ge=1)] = 30
    """The host must have promised the machine for this long."""
    min_cuda: Annotated[Decimal, Field(strict=False, ge=11)] = Decimal("13.0")
    """A container cannot change its host's driver, so the newest CUDA that it runs is asked for. 13.0: what the vLLM
    of images/gpu/versions.toml is built for."""


def parse(settings: Mapping[str, Any]) -> VastaiSettings:
    """Raises InvalidRequest that names each key that is wrong, as `clouds.vastai.<key>`."""
    return parse_section(VastaiSettings, "vastai", settings)
