"""What Lambda answers, in Lambda's words. `jupyter_token`, a secret, is never read."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from providers.renting.answers.price import usd


class Said(BaseModel):
    """What Lambda answers; fields that we do not use, or that are new, are dropped."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Named(Said):
    """A region or an SSH key, as far as it matters."""

    name: str
    id: str = ""


class FileSystem(Named):
    region: Named


class Image(Said):
    family: str
    region: Named


class Specs(Said):
    gpus: int


class InstanceType(Said):
    name: str
    description: str
    gpu_description: str
    price_cents_per_hour: Any = None
    specs: Specs

    @property
    def usd_per_hour(self) -> Decimal | None:
        cents = usd(self.price_cents_per_hour)
        return None if cents is None else cents / 100

    @property
    def gpu_memory_gib(self) -> int:
        """Of each GPU; it stands in the description alone, "A100 (80 GB SXM4)". 0 where it does not."""
        found = re.search(r"(\d+) ?GB", self.gpu_description)
        return int(found[1]) if found else 0


class Availability(Said):
    instance_type: InstanceType
    regions_with_capacity_available: tuple[Named, ...]


class Tag(Said):
    key: str
    value: str


class Instance(Said):
    """`ip` is absent while it boots; a status may be one that no documentation has. Only the id is certain: a field
    that cannot be read is as if it were absent, and `unread` names it."""

    id: Annotated[str, Field(min_length=1)]
    status: str = ""
    region: Named = Named(name="")
    instance_type: InstanceType | None = None
    ssh_key_names: tuple[str, ...] = ()
    name: str | None = None
    ip: str | None = None
    tags: tuple[Tag, ...] | None = None
    file_system_names: tuple[str, ...] = ()
    unread: frozenset[str] = frozenset()

    @classmethod
    def of(cls, row: Any) -> Instance | None:
        """A row of a listing; None where its id cannot be read."""
        if not isinstance(row, dict):
            return None
        try:
            return cls.model_validate({**row, "unread": ()})
        except ValidationError as e:
            unread = {str(error["loc"][0]) for error in e.errors(include_url=False, include_input=False)}
        if "id" in unread:
            return None
        return cls.model_validate({**{k: v for k, v in row.items() if k not in unread}, "unread": unread})

    @property
    def usd_per_hour(self) -> Decimal | None:
        """None where it cannot be told."""
        return self.instance_type.usd_per_hour if self.instance_type else None

    @property
    def tag_values(self) -> dict[str, str]:
        return {tag.key: tag.value for tag in self.tags or ()}

    @property
    def ended(self) -> bool:
        """It exists in listings alone. What was outbid is `preempted`: Lambda has ended it."""
        return self.status in ("terminated", "preempted")


class FirewallRule(Said):
    protocol: str
    source_network: str
    description: str
    port_range: tuple[int, ...] = ()
    """Absent with icmp."""


class Ruleset(Named):
    region: Named
    rules: tuple[FirewallRule, ...]


class Launched(Said):
    instance_ids: tuple[str, ...] = Field(min_length=1, max_length=1)
