"""Pure: which service has to be restarted or signalled when a file of the bundle changes.

A service uses the files that its command and environment name by `@ROOT@/…` (a folder stands for all in it) or
`@SECRET:…@`, those that these files name in turn, and its `reload_files`. A change of a file in `reload_files` asks for
the signal, of any other for a restart. A file that nothing names disturbs all services, because a needless restart is
better than a service that runs with what is no longer there; one that only a check names disturbs none, nor does a
secret that no service names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal

from images.bundle import Bundle, HttpCheck, Service

Effect = Literal["restart", "reload"]

_MENTION = re.compile(r"@ROOT@/([A-Za-z0-9._+/-]*)([*?\[]?)|@SECRET:([A-Za-z0-9._-]+)@")


def effects(bundle: Bundle) -> dict[str, dict[str, Effect]]:
    """Path → service → what a change asks of it, for each file, source and secret of the bundle."""
    texts = {f.path: f.content for f in bundle.files}
    secrets = [f"secrets/{name}" for name in bundle.secrets]
    paths = [*texts, *(s.path for s in bundle.sources), *secrets]
    used = {s.name: _closure(_named_by(s), texts) for s in bundle.services}
    checked = _closure({m for c in bundle.checks for m in _named_by_check(c)}, texts)
    found: dict[str, dict[str, Effect]] = {}
    for path in paths:
        found[path] = {
            s.name: "reload" if _covers(s.reload_files, path) else "restart"
            for s in bundle.services
            if _covers(used[s.name], path)
        }
        if not found[path] and path not in secrets and not _covers(checked, path):
            found[path] = {s.name: "restart" for s in bundle.services}
    return found


def used_by(service: Service, bundle: Bundle) -> list[str]:
    """What of the bundle's files and secrets the service uses, sorted: paths, of folders too, which stand for all in
    them."""
    texts = {f.path: f.content for f in bundle.files}
    paths = [*texts, *(s.path for s in bundle.sources), *(f"secrets/{name}" for name in bundle.secrets)]
    return sorted(n for n in _closure(_named_by(service), texts) if any(_covers([n], path) for path in paths))


def mentions(text: str) -> set[str]:
    """The paths below the root that a text with tokens names; of a pattern such as @ROOT@/rules/*.yaml the folder."""
    found = set()
    for path, wild, secret in _MENTION.findall(text):
        named = f"secrets/{secret}" if secret else path.rpartition("/")[0] if wild else path
        found.add(named.strip("/"))
    return found - {""}


def _named_by(service: Service) -> set[str]:
    texts = (*service.command, *service.environment.values())
    found = {m for text in texts for m in mentions(text)}
    return found | {f"secrets/{s}" for s in service.secret_environment.values()} | set(service.reload_files)


def _named_by_check(check: HttpCheck) -> set[str]:
    return {m for text in (check.tls_ca, check.body) if text for m in mentions(text)}


def _closure(named: set[str], texts: Mapping[str, str]) -> set[str]:
    """`named`, and what the files among them name, until nothing is added."""
    while True:
        more = {m for path, text in texts.items() if _covers(named, path) for m in mentions(text)} - named
        if not more:
            return named
        named = named | more


def _covers(named: Iterable[str], path: str) -> bool:
    return any(path == n or path.startswith(n.rstrip("/") + "/") for n in named)
