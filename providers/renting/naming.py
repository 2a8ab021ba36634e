"""Names that a lost create is found again by: the same inputs give the same name, on every cloud."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import replace
from difflib import get_close_matches

from providers.base import Owner

MAX_LENGTH = 60
"""The shortest limit among the clouds' (Lambda 64; SkyPilot and dstack keep to 60)."""
FORMER_GENERATIONS = 100
"""How many of them are looked back on. Chosen: each raise is a person's."""


def machine_name(owner: Owner) -> str:
    """A name of at most 60 characters of [a-z0-9-], unique per project, stack, role, key, generation and identity.

    The readable part may be cut; the hash of the whole mark never is.
    """
    digest = hashlib.sha256("\0".join(_fields(owner)).encode()).hexdigest()[:8]
    readable = re.sub(r"[^a-z0-9]+", "-", f"{owner.project}-{owner.stack}-{owner.key}-g{owner.generation}".lower())
    return f"{readable[: MAX_LENGTH - 9].strip('-')}-{digest}"


def names_of(owner: Owner) -> tuple[str, ...]:
    """What its machine may be called: by its whole mark, and as one of before there were identities."""
    return tuple(dict.fromkeys((machine_name(owner), machine_name(replace(owner, stack_id="")))))


def former_names(owner: Owner) -> tuple[str, ...]:
    """What machines of its earlier generations may be called."""
    earlier = range(max(1, owner.generation - FORMER_GENERATIONS), owner.generation)
    return tuple(name for generation in earlier for name in names_of(replace(owner, generation=generation)))


def mark(owner: Owner) -> str:
    """The ownership mark as one line of [A-Za-z0-9_.:/-], for clouds that keep a text and no tags."""
    return ":".join(("crossover", *_fields(owner)))


def owner_of(text: str) -> Owner | None:
    """The inverse of `mark`; None for what is no mark of ours."""
    match text.split(":"):
        case ["crossover", project, stack, role, key, generation] if re.fullmatch("[0-9]{1,9}", generation):
            return Owner(project, stack, role, key, int(generation))
        case ["crossover", project, stack, role, key, generation, stack_id] if generation.isdigit():
            return Owner(project, stack, role, key, int(generation), stack_id)
    return None


def _fields(owner: Owner) -> tuple[str, ...]:
    """Without an identity what it was before there were any: machines of then keep their names."""
    fields = (owner.project, owner.stack, owner.role, owner.key, str(owner.generation))
    return (*fields, owner.stack_id) if owner.stack_id else fields


def nearest(given: str, valid: Iterable[str], shown: int = 8) -> str:
    """ "choose one of …": those most like what was given first, and no more than a reader wants to see."""
    names = list(dict.fromkeys(valid))
    alike = get_close_matches(given, names, n=shown, cutoff=0.4)
    chosen = [*alike, *(name for name in sorted(names) if name not in alike)][:shown]
    return f"choose one of {', '.join(chosen) or 'none: there is none'}"
