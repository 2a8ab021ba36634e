"""What a machine needs beside itself, shared by the machines of a stack: its SSH key and its firewall ruleset.

Both are made before the first machine that needs them and go with the last. Neither costs anything.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from images.remote.waiting import Locks
from providers.base import NodeSpec, Owner
from providers.clouds.lambdalabs import marks
from providers.clouds.lambdalabs.client import LambdaClient
from providers.clouds.lambdalabs.config import LambdaSettings
from providers.clouds.lambdalabs.said import Instance, Ruleset
from providers.errors import Ambiguous, CloudError, InvalidRequest, NotFound, Unavailable
from strict.names import GATEWAY_PORT, SERVING_PORT, SSH_PORT

T = TypeVar("T")

TURNS = Locks()
"""Per project and stack: nobody removes the ruleset that another thread is about to launch with."""
LEAVING = ("terminating", "preempted")
"""Statuses of machines that nobody needs to reach, and whose addresses are not ours for long."""
ADMIT_ROUNDS = 4
"""How often rulesets are written before it is said that somebody else writes them too."""


def add_ssh_key(client: LambdaClient, public_key: str) -> str:
    """The name under which Lambda knows the key, which is added if it is not there."""
    name = marks.ssh_key_name(public_key)

    def found() -> str | None:
        return name if any(key.name == name for key in client.ssh_keys()) else None

    return _ensured(found, lambda: client.add_ssh_key(name, public_key).name)


def open_ports(client: LambdaClient, spec: NodeSpec, settings: LambdaSettings) -> str:
    """The id of the stack's ruleset in the region. It opens what the stack's machines there serve, and no more."""
    name = marks.ruleset_name(spec.owner, spec.region)
    own = marks.rules(spec.ports.items(), settings.source_networks, settings.client_cidrs)

    def found() -> Ruleset | None:
        return next((r for r in client.rulesets() if (r.name, r.region.name) == (name, spec.region)), None)

    ruleset = _ensured(found, lambda: client.create_ruleset(name, spec.region, own))
    there = _meaning(_rules(ruleset))
    if there != _meaning(own):
        needed = _needed(ruleset, _siblings(client, spec.owner), settings, spec.ports)
        if there != _meaning(needed):
            client.update_ruleset(ruleset.id, needed)
    return ruleset.id


def admit(client: LambdaClient, owner: Owner, settings: LambdaSettings | None = None, but: str = "") -> None:
    """Brings the stack's rulesets to what its living machines other than `but` are: see `Firewalled`.

    It converges: what was written is read again together with the machines, so that another process with an older
    listing has not the last word. Raises Unavailable where that does not end.
    """
    if not _outdated(client, owner, settings, but):
        return
    with TURNS[(owner.project, owner.stack)]:
        for _ in range(ADMIT_ROUNDS):
            outdated = _outdated(client, owner, settings, but)
            if not outdated:
                return
            for ruleset_id, needed in outdated.items():
                with contextlib.suppress(NotFound):  # another process removed it
                    client.update_ruleset(ruleset_id, needed)
    raise Unavailable(f"lambda's firewall rulesets of stack {owner.stack} change as often as they are written")


def _outdated(
    client: LambdaClient, owner: Owner, settings: LambdaSettings | None, but: str
) -> dict[str, list[dict[str, Any]]]:
    """Ruleset's id → the rules that it should have, for those of the stack that have others and are used.

    One of before identities may be another stack's of the same name: it is let in at, and keeps its networks."""
    machines = _siblings(client, owner, but)
    used = {machine.region.name for machine in machines}
    before = replace(owner, stack_id="")
    found = {}
    for ruleset in client.rulesets() if used else ():
        where = ruleset.region.name
        own, older = (ruleset.name == marks.ruleset_name(one, where) for one in (owner, before))
        if where in used and (own or older):
            needed = _needed(ruleset, machines, settings if own else None)
            if _meaning(needed) != _meaning(_rules(ruleset)):
                found[ruleset.id] = needed
    return found


def _needed(
    ruleset: Ruleset, machines: list[Instance], settings: LambdaSettings | None, ports: Mapping[str, int] | None = None
) -> list[dict[str, Any]]:
    """The rules for the stack's machines and one with `ports`; without settings the networks of now are kept."""
    marked = [(machine, marks.mark(machine.tag_values).ports) for machine in machines]
    services = set((ports or {}).items())
    for machine, served in marked:
        services |= set(served.items()) if machine.region.name == ruleset.region.name else set()
    if settings is None:
        needed = [rule for rule in _rules(ruleset) if rule["description"] not in marks.SIBLINGS.values()]
    else:
        needed = marks.rules(services, settings.source_networks, settings.client_cidrs)
    # Gateways ask every vLLM; machines that serve copy weights from one another over SSH.
    let_in = {
        SERVING_PORT: sorted({machine.ip for machine, served in marked if machine.ip and GATEWAY_PORT in served}),
        SSH_PORT: sorted({machine.ip for machine, served in marked if machine.ip and SERVING_PORT in served}),
    }
    named = [(rule.get("port_range"), rule["source_network"]) for rule in needed]
    siblings = marks.sibling_rules(services, let_in)
    return needed + [rule for rule in siblings if (rule["port_range"], rule["source_network"]) not in named]


def tidy(client: LambdaClient, owner: Owner, region: str, ssh_keys: Iterable[str], but: str = "") -> None:
    """Removes the stack's rulesets and those of its SSH keys that no machine but `but` needs.

    Raises nothing of a cloud's: what cannot be removed costs nothing, and the next launch finds it by its name.
    """
    with contextlib.suppress(CloudError):
        living = _living(client, but)
        needed = {_ruleset_of(machine) for machine in living}
        if marks.ruleset_name(owner, region) not in needed:
            for ruleset in client.rulesets():
                ours = ruleset.name == marks.ruleset_name(owner, ruleset.region.name)
                if ours and ruleset.name not in needed:
                    client.delete_ruleset(ruleset.id)
        used = {name for machine in living for name in machine.ssh_key_names}
        unused = {name for name in ssh_keys if name.startswith(marks.KEY_PREFIX)} - used
        if unused:
            for key in client.ssh_keys():
                if key.name in unused:
                    client.delete_ssh_key(key.id)


def _siblings(client: LambdaClient, owner: Owner, but: str = "") -> list[Instance]:
    """The machines of the owner's stack that stay."""
    found = []
    for machine in _living(client, but):
        theirs = marks.mark(machine.tag_values).owner
        if theirs and theirs.same_stack(owner) and machine.status not in LEAVING:
            found.append(machine)
    return found


def _living(client: LambdaClient, but: str = "") -> list[Instance]:
    return [found for found in client.instances().read if found.id != but and not found.ended]


def _ruleset_of(machine: Instance) -> str | None:
    """The name of that which it was launched with; None for a machine that is not ours."""
    owner = marks.mark(machine.tag_values).owner
    return marks.ruleset_name(owner, machine.region.name) if owner else None


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


def _rules(ruleset: Ruleset) -> list[dict[str, Any]]:
    """As they are sent."""
    return [rule.model_dump(mode="json", exclude_defaults=True) for rule in ruleset.rules]


def _meaning(rules: Iterable[Mapping[str, Any]]) -> set[tuple[str, tuple[int, ...], str, bool]]:
    """Rules without those of their descriptions that change nothing."""
    return {
        (
            r["protocol"],
            tuple(r.get("port_range", ())),
            r["source_network"],
            r["description"] in marks.SIBLINGS.values(),
        )
        for r in rules
    }
