"""What Lambda's API takes, and how it refuses the rest."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from tests.clouds.server import Refusal

Name = Annotated[str, Field(min_length=1, max_length=64)]
Network = Annotated[str, AfterValidator(lambda text: str(ipaddress.IPv4Network(text)))]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


B = TypeVar("B", bound=Body)


class Rule(Body):
    protocol: Literal["tcp", "udp", "icmp", "all"]
    port_range: list[Annotated[int, Field(ge=1, le=65535)]] = Field(min_length=2, max_length=2)
    source_network: Network
    description: str = Field(max_length=128)


class Tag(Body):
    key: str = Field(pattern=r"^[a-z][a-z0-9\-:]+$", max_length=55)
    value: str = Field(max_length=128)


class Id(Body):
    id: str


class Family(Body):
    family: str


class Launch(Body):
    region_name: str
    instance_type_name: str
    ssh_key_names: list[str] = Field(min_length=1, max_length=1)
    file_system_names: list[str] = []
    hostname: str | None = Field(default=None, pattern=r"^[a-z0-9][0-9a-z-]{0,62}$")
    name: str = Field(default="", max_length=64)
    image: Id | Family | None = None
    user_data: str | None = Field(default=None, max_length=1_000_000)
    tags: list[Tag] = []
    firewall_rulesets: list[Id] = []


class Terminate(Body):
    instance_ids: list[str] = Field(min_length=1)


class AddKey(Body):
    name: Name
    public_key: Annotated[str, Field(max_length=4096, pattern=r"^(ssh|ecdsa)-\S+ \S+")]


class AddRuleset(Body):
    name: Name
    region: str
    rules: list[Rule]


class PatchRuleset(Body):
    name: Name | None = None
    rules: list[Rule] | None = None


def refusal(status: int, code: str, message: str, suggestion: str = "") -> Refusal:
    """Lambda's envelope."""
    error = {"code": code, "message": message} | ({"suggestion": suggestion} if suggestion else {})
    return Refusal(status, {"error": error})


def missing(what: str, status: int = 404) -> Refusal:
    return refusal(status, "global/object-does-not-exist", f"{what} does not exist.", "Check the ID and try again.")


def parsed(kind: type[B], body: Any) -> B:
    """Raises Refusal for unknown, missing and wrong fields."""
    try:
        return kind.model_validate(body)
    except ValidationError as e:
        first = e.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise refusal(400, "global/invalid-parameters", f"Invalid request data: {where}: {first['msg']}") from None
