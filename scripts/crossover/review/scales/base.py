"""The files that weigh, of either side: its catalogue and its waivers, read from git as data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any

from pydantic import BaseModel

from cost_guard.catalogue.catalogue import ALLOWED, PRICES, TABLES, Catalogue, load_catalogue
from cost_guard.pack.registry import codes
from cost_guard.scenario.waiver_file import parse_waivers
from cost_guard.scenario.waivers import FILE, NO_WAIVERS, Waivers
from scripts.crossover.review.scales.mixture import ChangedFigure
from scripts.crossover.stack.config import Tree
from scripts.crossover.stack.verdict import Yardstick
from strict.problems import Problems

DATA = "policies/cost_guard/catalogue/data"
"""Where the catalogue's files are, which are called by their names."""
ALLOWED_TYPES = f"policies/{ALLOWED}"


def catalogue_at(tree: Tree) -> Catalogue | None:
    """The catalogue there; None where it has none. Raises Problems where it has one that this code cannot read,
    SourceError."""
    files = [f"{DATA}/{name}" for name in tree.names(DATA) if name.endswith(".toml")]
    if f"{DATA}/{PRICES}" not in files:
        return None
    with tree.folder_with(*files, ALLOWED_TYPES) as root:
        return load_catalogue(root / DATA)


def weighed_by(
    given: Yardstick, tree: Tree, judges: tuple[str, ...]
) -> tuple[Yardstick, Mapping[str, tuple[str, ...]]]:
    """A yardstick with the catalogue and the waivers of a tree, where the pull request changes them (`judges`). Where
    this code cannot read one (DATA, FILE), the given one stays, and the lines say why. Raises SourceError."""
    unread: dict[str, tuple[str, ...]] = {}
    for name in changed_weights(judges):
        try:
            if name == FILE:
                given = replace(given, waivers=waivers_at(tree))
            else:
                given = replace(given, catalogue=catalogue_at(tree) or given.catalogue)
        except Problems as error:
            unread[name] = tuple(error.lines)
    return given, unread


def changed_weights(judges: tuple[str, ...]) -> list[str]:
    """Of the catalogue (DATA) and the waivers (FILE), what is among the files that differ."""
    catalogue = any(path.startswith(f"{DATA}/") or path == ALLOWED_TYPES for path in judges)
    return [name for name, changed in ((DATA, catalogue), (FILE, FILE in judges)) if changed]


def waivers_at(tree: Tree) -> Waivers:
    """The waivers there. Raises WaiverError, SourceError."""
    text = tree.text(FILE)
    return NO_WAIVERS if text is None else parse_waivers(text, codes())


def changed_rows(now: Catalogue, before: Catalogue) -> Iterator[ChangedFigure]:
    """Each field of a row of the catalogue that differs; a row that is new or gone is one figure."""
    for table, file in TABLES.items():
        new, old = getattr(now, table), getattr(before, table)
        for key in sorted({*new, *old}):
            if key not in new or key not in old:
                yield ChangedFigure(
                    f"{file} {key}", "" if key not in old else "a row", "" if key not in new else "a row"
                )
                continue
            if new[key] != old[key]:
                yield from _fields(f"{file} {key}", _plain(new[key]), _plain(old[key]))


def _fields(name: str, now: Mapping[str, Any], before: Mapping[str, Any]) -> Iterator[ChangedFigure]:
    for key in now:
        if now[key] != before.get(key):
            yield ChangedFigure(f"{name}.{key}", str(before.get(key, "")), str(now[key]))


def _plain(row: Any) -> Mapping[str, Any]:
    found: Mapping[str, Any] = row.model_dump(by_alias=True) if isinstance(row, BaseModel) else asdict(row)
    return found
