"""Committed YAML that is read beside the configuration: strict documents, and the usage file that a scenario names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cost_guard.scenario.scenario import ScenarioError
from cost_guard.scenario.usage import Usage, parse_usage
from strict import yaml as strict_yaml
from strict.numbers import shown
from strict.places import Lines
from strict.problems import within

LONGEST_PATH = 255
"""Characters of the path of a usage file: no file system takes a longer name."""


def read_document(path: Path, file: str = "") -> tuple[Any, Lines]:
    """The data of a YAML (so also JSON) file, and where its keys stand. `file` is what messages call it, by default its
    path. Raises ScenarioError where it is none, OSError."""
    try:
        return strict_yaml.load(path.read_bytes(), file or str(path))
    except strict_yaml.DocumentError as error:
        raise ScenarioError([str(error)]) from None


def usage_in(path: Path, file: str = "") -> Usage:
    """The content of a usage file, called `file` as by `read_document`. Raises ScenarioError, OSError."""
    data, lines = read_document(path, file)
    with within(lines):
        return parse_usage(data, "")


def usage_path(scenario: object) -> str | None:
    """The path that `workload.usage` of a scenario's plain data names, if it names one."""
    workload = scenario.get("workload") if isinstance(scenario, Mapping) else None
    path = workload.get("usage") if isinstance(workload, Mapping) else None
    return path if isinstance(path, str) else None


def is_path(named: str) -> bool:
    """Whether a text can be asked for as a file, of the system or of git."""
    return 0 < len(named) <= LONGEST_PATH and named.isprintable()


def read_usage(scenario: object, folder: Path, prefix: str = "") -> Usage | None:
    """The usage file that a scenario's plain data names, relative to `folder` and within it; None where it names none.

    `prefix` is what the scenario's keys are called by. Raises ScenarioError where the file cannot be used.
    """
    named = usage_path(scenario)
    if named is None:
        return None
    key = f"{prefix}workload.usage"
    if not is_path(named):
        raise ScenarioError([f"{key}: {shown(named)} is no path of a file; name the usage file, like usage/prod.yaml"])
    path = (folder / named).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ScenarioError([f"{key}: {named} leads out of the folder; keep the usage file beside what names it"])
    if not path.is_file():
        raise ScenarioError([f"{key}: there is no file {named}; make it with `crossover usage import`"])
    try:
        return usage_in(path, named)
    except OSError as error:
        raise ScenarioError([f"{key}: {named} cannot be read: {error.strerror}"]) from None
