"""What decides a verdict beside the configuration: a pull request that changes it is told so, and says it to others."""

from __future__ import annotations

import re
from pathlib import Path

from scripts.crossover.stack.config import Tree, changed_files

_JUDGED = re.compile(
    "|".join(
        (
            r"stacks/config/[^/]+\.yaml",  # what is judged
            r"usage\.yaml|usage/[^/]+\.yaml",  # what was measured, by `crossover usage import`
            r"docs/.+|tests/.+|[^/]+\.md",  # what no verdict reads
        )
    ),
    re.DOTALL,
)
"""The same as in .github/CODEOWNERS, which a test holds against it."""


def is_judge(path: str) -> bool:
    """Whether a file, by its path from the project's root, has a say in verdicts: every one that is not known to have
    none. A usage file of another name counts as one."""
    return _JUDGED.fullmatch(path) is None


def judges_changed(head: Tree, base: str, reports: Path | None = None) -> tuple[str, ...]:
    """Those that the pull request adds, changes or takes away; what a preview has written to `reports` is none. Raises
    SourceError."""
    return tuple(sorted(filter(is_judge, changed_files(head.folder, base, head.ref, reports))))
