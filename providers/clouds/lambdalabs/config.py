"""What the cloud `lambda` reads from the environment, and what a stack may set for it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from providers.errors import InvalidRequest
from strict.fields import Cidr

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


class LambdaSettings(BaseModel):
    """The section `clouds.lambda` of a stack. Who may connect counts at the next `up`, all else at the next launch."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, alias_generator=to_camel)

    source_networks: list[Cidr] = Field(min_length=1)
    """Who reaches SSH, vLLM and the endpoint: where `up` runs, and a gateway that is not at Lambda. The stack's
    gateways at Lambda are let in at vLLM without being named."""
    client_cidrs: list[Cidr] = []
    """Who else may ask the endpoint, where a machine carries a gateway."""
    file_systems: list[Annotated[str, Field(min_length=1)]] = []
    """Names of Lambda file systems, mounted at /lambda/nfs/<name>: for weights that outlive a machine. They exist
    already, in the candidate's region."""
    image_family: str | None = Field(default=None, min_length=1)
    """The newest image of this family; Lambda's own default where it is absent."""


def parse(settings: Mapping[str, Any]) -> LambdaSettings:
    """Raises InvalidRequest that names each key that is wrong, as `clouds.lambda.<key>`."""
    try:
        return LambdaSettings.model_validate(dict(settings))
    except ValidationError as e:
        known = ", ".join(sorted(to_camel(name) for name in LambdaSettings.model_fields))
        said = {
            "extra_forbidden": f"there is no such key: choose one of {known}",
            "missing": "missing; name who may connect, e.g. [203.0.113.7/32]: where `up` runs, and a gateway elsewhere",
        }
        raise InvalidRequest(
            "; ".join(
                f"clouds.lambda.{'.'.join(map(str, error['loc']))}: "
                + said.get(error["type"], error["msg"].removeprefix("Value error, "))
                for error in e.errors(include_url=False, include_input=False)
            )
        ) from None
