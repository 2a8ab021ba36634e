"""One module a format, which exports its `FORMAT` and is found by that; what an export looks like tells which."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import import_module
from pkgutil import iter_modules

from scripts.crossover.usage import strangers
from scripts.crossover.usage.readers.format import Format
from scripts.crossover.usage.record import BadExport, Place, near
from scripts.crossover.usage.stream import Export

_NOT_FORMATS = tuple(f"{__name__}.{name}" for name in ("format", "pages", "openai_parts", "litellm_cache"))
"""What the readers share. Every other module here is a reader."""


def discovered() -> dict[str, Format]:
    """By name, in the order of their positions. Raises TypeError for a file without a FORMAT, and for a name that is
    taken."""
    formats: dict[str, Format] = {}
    for module in iter_modules(__path__, f"{__name__}."):
        if module.name in _NOT_FORMATS:
            continue
        form = getattr(import_module(module.name), "FORMAT", None)
        if not isinstance(form, Format) or formats.setdefault(form.name, form) is not form:
            raise TypeError(f"{module.name} holds no FORMAT = Format(…) with a name of its own")
    return dict(sorted(formats.items(), key=lambda named: (named[1].position, named[0])))


FORMATS = discovered()
"""By name, in the order in which they are listed. Where a header is of several, or a slip near to several, it is of the
first."""


def format_of(export: Export) -> Format:
    """Raises BadExport where nothing known shows, and for what is known to be something else."""
    start = export.start.lstrip()
    if strangers.SCRAPE.match(start):
        raise _first(export).bad(strangers.A_SCRAPE)
    return _of_json(export, start) if start[0] in "{[" else _of_table(export, start.splitlines()[0])


def _of_json(export: Export, start: str) -> Format:
    """The format, or the stranger, whose sign stands first."""
    signs = [(found.start(), form) for form in FORMATS.values() if form.json and (found := form.json.search(start))]
    first = min(signs, key=lambda sign: sign[0], default=None)
    for at, stranger in strangers.in_json(start):
        if first is None or at <= first[0]:
            raise _first(export).bad(stranger.words)
    if first is None:
        raise _untold(export, "key", re.findall(r'"([^"\\]{1,40})"\s*:', start))
    return first[1]


def _of_table(export: Export, first: str) -> Format:
    separator = max(",;\t", key=first.count)
    header = [column.strip().strip('"') for column in first.split(separator)]
    if stranger := strangers.in_columns(header):
        raise _first(export).bad(stranger.words)
    if separator != "," and separator in first:
        what = "is TSV: " if separator == "\t" else ""
        raise _first(export).bad(f"{what}the columns are separated by {separator!r}, they must be by ','")
    for form in FORMATS.values():
        if any(columns <= {*header} for columns in form.columns):
            return form
    raise _untold(export, "column", header)


def _untold(export: Export, what: str, names: Sequence[str]) -> BadExport:
    """Names the slip, or the format that is nearest to the export's keys or columns."""
    known = {form.name: form.words for form in FORMATS.values() if (form.columns if what == "column" else form.json)}
    nearest = max(known, key=lambda name: sum(word in names or near(word, names) is not None for word in known[name]))
    missing = sorted(known[nearest] - {*names})
    if what == "key" and "error" in names[:1]:
        return _first(export).bad("error: is an API's refusal, no export; ask it again")
    for word in missing:
        if slip := near(word, names):
            line = 1 + export.start.count("\n", 0, export.start.find(slip))
            return Place(export.name, line, slip).bad(f"unknown {what}; did you mean {word}, as in {nearest}?")
    told = f"; nearest is {nearest}, but there is no {', '.join(missing)}" if len(missing) < len(known[nearest]) else ""
    return _first(export).bad(f"the format cannot be told; name it with --format: {', '.join(FORMATS)}{told}")


def _first(export: Export) -> Place:
    return Place(export.name, 1)
