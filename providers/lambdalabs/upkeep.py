"""What a machine needs beside itself, shared by the machines of a stack: its SSH key and its firewall ruleset.

Both are made before the first machine that needs them and go with the last. Neither costs anything.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from providers.base import NodeSpec, Owner
from providers.errors import Ambiguous, CloudError, InvalidRequest, Unavailable
from providers.lambdalabs import marks
from providers.lambdalabs.client import Instance, LambdaClient, Ruleset
from providers.waiting import Locks

T = TypeVar("T")

TURNS = Locks()
"""Per project and stack: nobody removes the ruleset that another thread is about to launch with."""


def add_ssh_key(client: LambdaClient, public_key: str) -> str:
    """The name under which Lambda knows the key, which is added if it is not there."""
    name = marks.ssh_key_name(public_key)

    def found() -> str | None:
        return name if any(key.name == name for key in client.ssh_keys()) else None

    return _ensured(found, lambda: client.add_ssh_key(name, public_key).name)


def open_ports(client: LambdaClient, spec: NodeSpec, networks: Sequence[str]) -> str:
    """The id of the stack's ruleset in the region. It lets in what the stack's machines there serve, and no more."""
    name = marks.ruleset_name(spec.owner, spec.region)
    own = marks.rules(spec.ports.items(), networks)

    def found() -> Ruleset | None:
        return next((r for r in client.rulesets() if (r.name, r.region.name) == (name, spec.region)), None)

    ruleset = _ensured(found, lambda: client.create_ruleset(name, spec.region, own))
    there = {(rule.protocol, rule.port_range, rule.source_network) for rule in ruleset.rules}
    if there != _meaning(own):
        services = set(spec.ports.items())
        for sibling in _living(client):
            if _place(sibling) == (spec.owner.project, spec.owner.stack, spec.region):
                services |= set(marks.mark(sibling.tag_values).ports.items())
        needed = marks.rules(services, networks)
        if there != _meaning(needed):
            client.update_ruleset(ruleset.id, needed)
    return ruleset.id


def tidy(client: LambdaClient, owner: Owner, region: str, ssh_keys: Iterable[str], but: str = "") -> None:
    """Removes the stack's rulesets and those of its SSH keys that no machine but `but` needs.

    Raises nothing of a cloud's: what cannot be removed costs nothing, and the next launch finds it by its name.
    """
    with contextlib.suppress(CloudError):
        living = _living(client, but)
        needed = {_place(machine) for machine in living}
        if (owner.project, owner.stack, region) not in needed:
            for ruleset in client.rulesets():
                where = ruleset.region.name
                ours = ruleset.name == marks.ruleset_name(owner, where)
                if ours and (owner.project, owner.stack, where) not in needed:
                    client.delete_ruleset(ruleset.id)
        used = {name for machine in living for name in machine.ssh_key_names}
        unused = {name for name in ssh_keys if name.startswith(marks.KEY_PREFIX)} - used
        if unused:
            for key in client.ssh_keys():
                if key.name in unused:
                    client.delete_ssh_key(key.id)


def _living(client: LambdaClient, but: str = "") -> list[Instance]:
    return [found for found in client.instances() if found.id != but and not found.ended]


def _place(machine: Instance) -> tuple[str, str, str] | None:
    """Project, stack and region; None for a machine that is not ours."""
    owner = marks.mark(machine.tag_values).owner
    return (owner.project, owner.stack, machine.region.name) if owner else None


def _ensured(find: Callable[[], T | None], create: Callable[[], T]) -> T:
    """What `find` finds, else what `create` makes, also if its answer is lost or somebody else was faster."""
    if (found := find()) is not None:
        return found
    try:
        return create()
    except (Ambiguous, InvalidRequest) as e:
        if (found := find()) is not None:
            return found
        if isinstance(e, Ambiguous):  # it says "a machine may exist" to the caller, and this was none
            raise Unavailable(f"{e}; nothing came of it") from e
        raise


def _meaning(rules: Iterable[Mapping[str, Any]]) -> set[tuple[str, tuple[int, ...], str]]:
    """Rules without their descriptions, which change nothing."""
    return {(rule["protocol"], tuple(rule["port_range"]), rule["source_network"]) for rule in rules}
