"""Records: what the files of a model's revision are, pinned. One JSON file each, `<org>--<name>@<revision>.json`:

    {"model": "org/name", "revision": "<commit>", "files": {"config.json": {"size": 12, "sha256": "…"}}}

`crossover weights record` writes them. With one, files from anywhere (a bucket, a volume, another node) are as good as
the hub's.
"""

from __future__ import annotations

from images.bundle import Source
from images.sources import REPOSITORY, repository_source

FOLDER = "images/weights/records"


def name_of(model: str, revision: str) -> str:
    """The file of that record, below the repository's root."""
    return f"{FOLDER}/{model.replace('/', '--')}@{revision.replace('/', '--')}.json"


def record_of(model: str, revision: str) -> Source | None:
    """The record of a model's revision; None where none is pinned."""
    path = name_of(model, revision)
    return repository_source(path, path) if (REPOSITORY / path).is_file() else None
