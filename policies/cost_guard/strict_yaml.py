"""YAML that others wrote, read strictly: no key twice, and no more of it than a person writes, aliases counted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

MOST_VALUES, DEEPEST = 20_000, 64
"""Aliases make a small file large once it is walked, or shown in a message: that is refused, too."""

Place = tuple[str, ...]
"""Keys from the top on; an item of a list by its number."""


class Refused(yaml.MarkedYAMLError):
    """It is YAML, and not taken all the same. `problem_mark` is where, if one place is to blame."""


def keys(root: yaml.Node | None) -> Iterator[tuple[Place, int]]:
    """Every key with its line, from 1. Raises Refused on one that stands twice, of which PyYAML would take the last in
    silence, and on too many values."""
    waiting: list[tuple[Place, yaml.Node]] = [] if root is None else [((), root)]
    for _ in range(MOST_VALUES):
        if not waiting:
            return
        place, node = waiting.pop()
        if len(place) > DEEPEST:
            break
        if isinstance(node, yaml.SequenceNode):
            waiting += [((*place, str(index)), item) for index, item in enumerate(node.value)]
        if not isinstance(node, yaml.MappingNode):
            continue
        seen: set[str] = set()
        for key, item in node.value:
            name = str(key.value)
            if name in seen:
                raise Refused(problem=f"{name} stands twice", problem_mark=key.start_mark)
            seen.add(name)
            yield (*place, name), key.start_mark.line + 1
            waiting.append(((*place, name), item))
    raise Refused(problem=f"is over {DEEPEST} keys deep, or over {MOST_VALUES:,} values large, aliases counted")


def load(text: str, loader: type[yaml.SafeLoader] = yaml.SafeLoader) -> tuple[yaml.Node | None, Any]:
    """The text's root and its data; (None, None) where there is nothing. Raises yaml.YAMLError (Refused is one), and
    what PyYAML lets through: ValueError, RecursionError."""
    made = loader(text)
    try:
        root = made.get_single_node()
        for _ in keys(root):
            pass
        return root, None if root is None else made.construct_document(root)
    finally:
        made.dispose()
