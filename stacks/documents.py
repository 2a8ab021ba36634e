"""Committed YAML that is read beside the configuration: strict documents, and the usage file that a scenario names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from cost_guard import strict_yaml
from cost_guard.errors import ScenarioError
from cost_guard.usage import Usage, parse_usage


def read_document(path: Path) -> Any:
    """The data of a YAML (so also JSON) file. Raises ScenarioError where it is none."""
    try:
        return strict_yaml.load(path.read_text("utf-8"))[1]
    except yaml.MarkedYAMLError as error:
        where = f" (line {error.problem_mark.line + 1})" if error.problem_mark else ""
        raise ScenarioError([f"{path.name}{where}: not YAML: {error.problem}"]) from None
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise ScenarioError([f"{path.name}: not YAML: {str(error).splitlines()[0]}"]) from None


def usage_path(scenario: object) -> str | None:
    """The path that `workload.usage` of a scenario's plain data names, if it names one."""
    workload = scenario.get("workload") if isinstance(scenario, Mapping) else None
    path = workload.get("usage") if isinstance(workload, Mapping) else None
    return path if isinstance(path, str) else None


def read_usage(scenario: object, folder: Path, prefix: str = "") -> Usage | None:
    """The usage file that a scenario's plain data names, relative to `folder` and within it; None where it names none.

    `prefix` is what the scenario's keys are called by. Raises ScenarioError where the file cannot be used.
    """
    named = usage_path(scenario)
    if named is None:
        return None
    key = f"{prefix}workload.usage"
    path = (folder / named).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ScenarioError([f"{key}: {named} leads out of the folder; keep the usage file beside what names it"])
    if not path.is_file():
        raise ScenarioError([f"{key}: there is no file {named}; make it with `crossover usage import`"])
    try:
        return parse_usage(read_document(path), f"{path.name}: ")
    except OSError as error:
        raise ScenarioError([f"{key}: {named} cannot be read: {error.strerror}"]) from None
