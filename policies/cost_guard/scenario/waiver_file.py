"""The file of waivers, checked against the rules that there are."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from cost_guard.codes import Codes
from cost_guard.scenario.waivers import FILE, NO_WAIVERS, Waiver, Waivers
from strict import yaml as strict_yaml
from strict.numbers import shown
from strict.places import told
from strict.problems import Problems, problems

WAIVERS_VARIABLE = "CROSSOVER_WAIVERS"
"""Set to a path, it names the file in place of waivers.yaml at the project's root."""


class WaiverError(Problems):
    """The file cannot be used: each line with file, line and key."""


def load_waivers(folder: Path, codes: Callable[[], Codes]) -> Waivers:
    """Those of the file that CROSSOVER_WAIVERS names, else of `folder`/waivers.yaml, where no file is none.

    `codes` is asked only where there is a file: to know every rule is to load its module, in every preview. Raises
    WaiverError: also where CROSSOVER_WAIVERS names no file.
    """
    given = os.environ.get(WAIVERS_VARIABLE)
    path = Path(given) if given else folder / FILE
    if not given and not path.exists():
        return NO_WAIVERS
    return read_waivers(path, codes())


def read_waivers(path: Path, codes: Codes) -> Waivers:
    """The file's. Raises WaiverError."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WaiverError(f"{path}: cannot be read: {error.strerror}") from None
    return parse_waivers(content, codes, path.name)


def parse_waivers(content: str | bytes, codes: Codes, file: str = FILE) -> Waivers:
    """The file's content: a list of entries, or nothing. Raises WaiverError."""
    try:
        document, lines = strict_yaml.load(content, file)
    except strict_yaml.DocumentError as error:
        raise WaiverError(str(error)) from None
    if document is None:
        return replace(NO_WAIVERS, file=file)
    if not isinstance(document, list):
        raise WaiverError(told(file, 1, "", f"expected a list of waivers, got {shown(document)}"))
    entries, complaints = [], []
    for number, entry in enumerate(document):
        try:
            entries.append(Waiver.model_validate(entry, by_name=False, context=codes))
        except ValidationError as error:
            complaints += [problem.located(lines, (str(number),)) for problem in problems(Waiver, error)]
    if complaints:
        raise WaiverError(complaints)
    return Waivers(tuple(entries), tuple(lines.at((str(number),)) for number in range(len(entries))), file)
