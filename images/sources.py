"""Files of this repository as `Source`s: by reference, with the hash of what they hold now."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from images.bundle import Bundle, PythonEnvironment, Source
from images.remote.errors import InvalidBundle

REPOSITORY = Path(__file__).resolve().parents[1]
SHIPPED = ("images", "requirements")
"""The folders of what travels to machines."""


def repository_source(path_on_machine: str, source: str, mode: int = 0o644, root: Path = REPOSITORY) -> Source:
    """The file `source` (relative to the repository's root) to be put at `path_on_machine`.

    Raises FileNotFoundError where the repository has no such file.
    """
    digest = hashlib.sha256((root / source).read_bytes()).hexdigest()
    return Source(path=path_on_machine, source=source, sha256=digest, mode=mode)


def repository_sources(
    folder_on_machine: str, folder: str, pattern: str = "**/*.py", root: Path = REPOSITORY
) -> tuple[Source, ...]:
    """Every file of `folder` that matches `pattern`, in a stable order, below `folder_on_machine`.

    Raises FileNotFoundError where nothing matches: an empty program is never installed.
    """
    found = sorted(p.relative_to(root / folder) for p in (root / folder).glob(pattern) if p.is_file())
    if not found:
        raise FileNotFoundError(f"nothing matches {folder}/{pattern}")
    return tuple(
        repository_source(f"{folder_on_machine}/{name.as_posix()}", f"{folder}/{name.as_posix()}", root=root)
        for name in found
    )


def read_source(source: Source, repository: Path) -> bytes:
    """The bytes that `source` stands for. Raises InvalidBundle if they are not those it was rendered with."""
    try:
        content = (repository / source.source).read_bytes()
    except OSError as e:
        raise InvalidBundle(f"{source.source} cannot be read from the repository: {e.strerror}") from e
    if hashlib.sha256(content).hexdigest() != source.sha256:
        raise InvalidBundle(
            f"{source.source} changed after the bundle was rendered: run again, so that what is shown is what is sent"
        )
    return content


def located(bundle: Bundle, root: Path = REPOSITORY) -> Bundle:
    """The bundle with each source that was moved in the repository where its bytes are now. One whose bytes are nowhere
    stays as it is: it was changed."""
    weights = bundle.weights
    record = weights.record if weights else None
    locks = [source for each in bundle.environments for source in _locks(each)]
    named = (*bundle.sources, *locks, *([record] if record else []))
    moved = {source.sha256 for source in named if _hash(root / source.source) != source.sha256}
    if not moved:
        return bundle
    files = (path for folder in SHIPPED for path in sorted((root / folder).rglob("*")) if path.is_file())
    now = {digest: path.relative_to(root).as_posix() for path in files if (digest := _hash(path)) in moved}

    def at(source: Source) -> Source:
        return replace(source, source=now.get(source.sha256, source.source))

    environments = tuple(
        replace(e, requirements=at(e.requirements), installer=e.installer and at(e.installer))
        for e in bundle.environments
    )
    if weights and record:
        weights = replace(weights, record=at(record))
    return replace(bundle, sources=tuple(map(at, bundle.sources)), environments=environments, weights=weights)


def _locks(environment: PythonEnvironment) -> tuple[Source, ...]:
    return (environment.requirements, *([environment.installer] if environment.installer else ()))


def _hash(path: Path) -> str:
    """Of its bytes, hex; empty where there is no such file."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
