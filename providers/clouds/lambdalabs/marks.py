"""What is written at Lambda so that our things are known again: tags, names, rules. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from providers.base import EXPOSED, NodeSpec, Owner
from providers.errors import InvalidRequest
from strict.names import GATEWAY_PORT, SERVING_PORT, SSH_PORT

PREFIX = "crossover:"
PORT = f"{PREFIX}port:"
KEY_PREFIX = "crossover-"
TAG_KEY = re.compile(r"[a-z][a-z0-9:-]{1,54}")
"""Lambda's rule for a tag's key; a value has at most 128 characters, so an owner is one tag a field."""
OWNER_FIELDS = ("project", "stack", "role", "key", "generation")
STACK_ID = f"{PREFIX}stack-id"
SIBLINGS = {SERVING_PORT: "crossover: a gateway of the stack", SSH_PORT: "crossover: a node of the stack"}
"""Service → the description of a rule that lets in a machine of ours there, by which it is known again."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What a machine's tags tell. `owner` is None where they are not ours."""

    owner: Owner | None
    ports: Mapping[str, int]
    created_at: str


def tags(spec: NodeSpec, created_at: str) -> list[dict[str, str]]:
    """The owner, each service's port, and the time, which the API itself does not tell. Raises InvalidRequest."""
    values = {f"{PREFIX}{name}": str(getattr(spec.owner, name)) for name in OWNER_FIELDS}
    values |= {STACK_ID: spec.owner.stack_id} if spec.owner.stack_id else {}
    values |= {f"{PORT}{service}": str(port) for service, port in spec.ports.items()}
    values[f"{PREFIX}created-at"] = created_at
    for key, value in values.items():
        if not TAG_KEY.fullmatch(key) or len(value) > 128:
            raise InvalidRequest(
                f"lambda takes no tag {key}={value}: a service's name is of [a-z0-9-] and at most 40 characters long, "
                "any other value has at most 128"
            )
    return [{"key": key, "value": value} for key, value in values.items()]


def mark(tags: Mapping[str, str]) -> Mark:
    """The inverse of `tags`; tags that somebody edited lose what cannot be read, and nothing else."""
    project, stack, role, key, generation = (tags.get(f"{PREFIX}{name}", "") for name in OWNER_FIELDS)
    ours = project and stack and generation.isdecimal()
    return Mark(
        owner=Owner(project, stack, role, key, int(generation), tags.get(STACK_ID, "")) if ours else None,
        ports={k.removeprefix(PORT): int(v) for k, v in tags.items() if k.startswith(PORT) and v.isdecimal()},
        created_at=tags.get(f"{PREFIX}created-at", ""),
    )


def ssh_key_name(public_key: str) -> str:
    """The same for the same key whatever its comment, so that adding it again adds nothing."""
    kind_and_key = " ".join(public_key.split()[:2])
    return KEY_PREFIX + hashlib.sha256(kind_and_key.encode()).hexdigest()[:24]


def ruleset_name(owner: Owner, region: str) -> str:
    """One a stack and region, at most 64 characters. Stacks that are called alike have one each, by their identity;
    machines of before identities have that of their stack's name."""
    identity = f"\0{owner.stack_id}" if owner.stack_id else ""
    digest = hashlib.sha256(f"{owner.project}\0{owner.stack}{identity}".encode()).hexdigest()[:8]
    readable = re.sub(r"[^a-z0-9]+", "-", f"{owner.project}-{owner.stack}".lower())[:24].strip("-")
    return f"crossover-{readable}-{digest}-{region}"[:64]


def rules(
    services: Iterable[tuple[str, int]], networks: Sequence[str], clients: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Inbound TCP to the port of each service that listens to the outside, from each of the networks; to the endpoint
    from the clients' too."""
    names: dict[int, set[str]] = {}
    for service, port in services:
        if service not in EXPOSED:
            continue
        names.setdefault(port, set()).add(service)
    return [
        _rule(port, network, f"crossover: {', '.join(sorted(names[port]))}"[:128])
        for port in sorted(names)
        for network in dict.fromkeys([*networks, *(clients if GATEWAY_PORT in names[port] else ())])
    ]


def sibling_rules(services: Iterable[tuple[str, int]], addresses: Mapping[str, Iterable[str]]) -> list[dict[str, Any]]:
    """Inbound TCP to the port of each service of SIBLINGS, from each of the `addresses` that the service has there."""
    ports = sorted({(port, service) for service, port in services if service in SIBLINGS})
    return [
        _rule(port, f"{address}/32", SIBLINGS[service]) for port, service in ports for address in addresses[service]
    ]


def _rule(port: int, network: str, description: str) -> dict[str, Any]:
    return {"protocol": "tcp", "port_range": [port, port], "source_network": network, "description": description}
