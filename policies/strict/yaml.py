"""YAML that others wrote, read strictly: no key twice, and no more of it than a person writes, aliases counted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import yaml

from strict.conflict import WORDS, conflict_line
from strict.places import Lines, Place, key_of, told
from strict.problems import Problems

TAG = "tag:yaml.org,2002:"
MOST_VALUES, DEEPEST = 20_000, 64
"""Aliases make a small file large once it is walked, or shown in a message: that is refused, too."""


class DocumentError(Problems):
    """The text cannot be taken; the message is one line, with the file and the line."""


class _Unwanted(yaml.MarkedYAMLError):
    """It is YAML, and not taken all the same."""


class _Loader(yaml.SafeLoader):
    """Takes scalars as the engine's reader does, so that a file means the same in a stack's configuration: `yes` is no
    flag, 1:00:00 no number, and a day stays a text."""

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> Any:
        """PyYAML's tag, or that of a text."""
        tag = super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]
        text = (
            tag == f"{TAG}timestamp"
            or (tag == f"{TAG}bool" and value.lower() not in ("true", "false"))
            or (tag in (f"{TAG}int", f"{TAG}float") and ":" in value)
        )
        return f"{TAG}str" if text else tag


def load(content: str | bytes, file: str) -> tuple[Any, Lines]:
    """The data, None where there is nothing, and where its keys and items stand; `file` is what messages call it.
    Raises DocumentError."""
    try:
        made = _Loader(content if isinstance(content, str) else content.decode("utf-8"))
        try:
            root = made.get_single_node()
            lines = Lines(file, dict(_places(root)))
            return None if root is None else made.construct_document(root), lines
        finally:
            made.dispose()
    except yaml.MarkedYAMLError as error:
        merging = conflict_line(content if isinstance(content, str) else content.decode("utf-8", "replace"))
        if merging is not None:
            raise DocumentError(told(file, merging, "", WORDS)) from None
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        what = "" if isinstance(error, _Unwanted) else "not YAML: "
        raise DocumentError(told(file, line, "", f"{what}{error.problem}")) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise DocumentError(told(file, line, "", "is not UTF-8")) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # the last two PyYAML lets through
        raise DocumentError(told(file, 1, "", f"not YAML: {str(error).splitlines()[0]}")) from None
    except (LookupError, AttributeError, TypeError):  # `!!bool x`, `!!int ''`, `!!timestamp x`: PyYAML's own slips
        text = content if isinstance(content, str) else content.decode("utf-8", "replace")
        before = text.partition("!")[0]
        words = "not YAML: a value does not fit the tag before it (!!…); leave the tag out"
        raise DocumentError(told(file, before.count("\n") + 1, "", words)) from None


def configured(text: str) -> Any:
    """A value of a stack's configuration as the program gets it: text that is JSON is what the JSON says. What is no
    JSON, or deeper than a person writes, stays the text."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    level = [value]
    for _ in range(DEEPEST):
        level = [item for one in level for item in _items(one)]
        if not level:
            return value
    return text


def _items(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _places(root: yaml.Node | None) -> Iterator[tuple[Place, int]]:
    """Every key and every item with its line. Raises _Unwanted on a key that stands twice, of which PyYAML would take
    the last in silence, and on too many values."""
    waiting: list[tuple[Place, yaml.Node]] = [] if root is None else [((), root)]
    for _ in range(MOST_VALUES):
        if not waiting:
            return
        place, node = waiting.pop()
        if len(place) > DEEPEST:
            break
        if isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                yield (*place, str(index)), item.start_mark.line + 1
                waiting.append(((*place, str(index)), item))
        if not isinstance(node, yaml.MappingNode):
            continue
        seen: set[str] = set()
        for key, item in node.value:
            name = str(key.value)
            if name in seen:
                whole = key_of(int(part) if part.isdigit() else part for part in (*place, name))
                raise _Unwanted(problem=f"{whole}: stands twice; keep one", problem_mark=key.start_mark)
            seen.add(name)
            yield (*place, name), key.start_mark.line + 1
            waiting.append(((*place, name), item))
    raise _Unwanted(problem=f"is over {DEEPEST} keys deep, or over {MOST_VALUES:,} values large, aliases counted")
