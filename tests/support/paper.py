"""Machines that only exist on paper (tests.clouds.server.Nowhere): there is nobody at their address to answer."""

from __future__ import annotations

from collections.abc import Callable

import providers.plugin.node
import providers.renting.contact
import providers.renting.ownership
import providers.renting.until
from providers.base import Machine

Patch = Callable[[object, str, object], None]
"""`setattr`, or that of a MonkeyPatch."""


def answers_at_once(patch: Patch) -> None:
    """First contact with such a machine succeeds as soon as it runs, and so does every later one; the others answer
    for themselves."""
    first_contact, answers_ssh = providers.renting.contact.first_contact, providers.renting.contact.answers_ssh
    patch(providers.renting.until, "first_contact", lambda m, key: m if on_paper(m) else first_contact(m, key))
    shows = providers.renting.contact.shows_keys_of
    patch(providers.renting.ownership, "shows_keys_of", lambda m, key: on_paper(m) or shows(m, key))
    patch(providers.plugin.node, "answers_ssh", lambda m: None if on_paper(m) else answers_ssh(m))


def on_paper(machine: Machine) -> bool:
    """Whether its address is one of documentation's (RFC 5737, TEST-NET-1)."""
    return str(machine.address).startswith("192.0.2.")
