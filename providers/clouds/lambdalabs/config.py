"""What the cloud `lambda` reads from the environment, and what a stack may set for it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field

from providers.renting.sections import node_image, parse_section
from strict.fields import Cidr, Section

BASE_URL = "https://cloud.lambda.ai"
KEYS_PAGE = f"{BASE_URL}/api-keys"
INSTANCES_PAGE = f"{BASE_URL}/instances"


@dataclass(frozen=True, slots=True)
class LambdaConfig:
    """Where the API is and with which key it is asked."""

    api_key: str = field(repr=False)
    base_url: str = BASE_URL
    """Without the path: /api/v1 is part of every call."""

    @classmethod
    def from_environment(cls) -> LambdaConfig:
        """LAMBDA_API_KEY; CROSSOVER_LAMBDA_URL, where something else stands in for cloud.lambda.ai."""
        return cls(
            api_key=os.environ.get("LAMBDA_API_KEY", "").strip(),
            base_url=(os.environ.get("CROSSOVER_LAMBDA_URL") or BASE_URL).rstrip("/"),
        )


class LambdaSettings(Section):
    """The section `clouds.lambda` of a stack. Who may connect counts at the next `up`, all else at the next launch."""

    model_config = ConfigDict(strict=True)

    source_networks: list[Cidr] = Field(min_length=1)
    """Who reaches SSH, vLLM and the endpoint: where `up` runs, and a gateway that is not at Lambda. The stack's
    gateways at Lambda are let in at vLLM without being named."""
    client_cidrs: list[Cidr] = Field(default=[])
    """Who else may ask the endpoint, where a machine carries a gateway."""
    file_systems: list[Annotated[str, Field(min_length=1)]] = Field(default=[])
    """Names of Lambda file systems, mounted at /lambda/nfs/<name>: for weights that outlive a machine. They exist
    already, in the candidate's region."""
    image_family: Annotated[str, Field(min_length=1), AfterValidator(node_image)] = "lambda-stack-24-04"
    """The newest image of this family. Lambda's own default is one of 22.04, which cannot carry vLLM."""


def parse(settings: Mapping[str, Any]) -> LambdaSettings:
    """Raises InvalidRequest that names each key that is wrong, as `clouds.lambda.<key>`."""
    who = "missing; name who may connect, e.g. [203.0.113.7/32]: where `up` runs, and a gateway elsewhere"
    return parse_section(LambdaSettings, "lambda", settings, {"sourceNetworks": who})
