"""Which stacks no job of the workflow judges: what nobody looks at passes unseen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from scripts.crossover.stack.config import ConfigError, Tree, config_path
from strict import yaml as strict_yaml

WORKFLOW = ".github/workflows/preview.yml"
EXAMPLES = "EXAMPLES"
"""Its variable that names the stacks which nobody deploys, with spaces between them."""
_FILE = re.compile(r"Pulumi\.(.+)\.yaml", re.DOTALL)


def stacks_without_job(head: Tree) -> tuple[str, ...]:
    """The stacks there that a matrix of the workflow leaves out, and that are no examples. None where there is no such
    workflow: another CI has jobs of its own. Raises SourceError, ConfigError."""
    text = head.text(WORKFLOW)
    if text is None:
        return ()
    try:
        workflow, _ = strict_yaml.load(text, WORKFLOW)
    except strict_yaml.DocumentError as error:
        raise ConfigError(str(error)) from None
    lists = list(_matrices(workflow))
    judged = set.intersection(*lists) if lists else set()
    examples = set(str(_at(workflow, "env", EXAMPLES) or "").split())
    return tuple(sorted(_stacks(head) - judged - examples))


def _stacks(tree: Tree) -> set[str]:
    folder = PurePosixPath(config_path("any")).parent
    return {found[1] for name in tree.names(str(folder)) if (found := _FILE.fullmatch(name))}


def _matrices(workflow: Any) -> Iterator[set[str]]:
    """What `matrix.stack` of each job lists. One that is made up while it runs (an expression) lists nothing here."""
    jobs = _at(workflow, "jobs")
    for job in jobs.values() if isinstance(jobs, dict) else ():
        listed = _at(job, "strategy", "matrix", "stack")
        if listed is not None:
            yield {str(name) for name in listed} if isinstance(listed, list) else set()


def _at(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value
