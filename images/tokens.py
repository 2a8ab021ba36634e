"""The tokens that join a bundle and its host: what a bundle leaves open, and what one machine says.

| token            | becomes                                                                        |
|------------------|--------------------------------------------------------------------------------|
| `@ROOT@`         | `Host.root`                                                               |
| `@BIND@`         | `Host.bind`                                                               |
| `@SERVER_NAME@`  | `Host.server_name`: the name in the machine's certificate                 |
| `@PORT:name@`    | `Host.ports[name]`                                                        |
| `@ENV:name@`     | the folder of that Python environment, `{cache}/venvs/<hash of requirements>`  |
| `@SECRET:name@`  | the path (never the content) of that secret's file, `{root}/secrets/<name>`    |
| `@WEIGHTS@`      | `Host.weights`: the folder of models' files                                    |

Replacement is strict and happens once: an unknown, misspelt or unfinished token is an error that names it and where
it stands, and what a token becomes is not searched again.
"""

from __future__ import annotations

import re

from images.bundle import Bundle, Source
from images.remote.errors import InvalidBundle
from images.remote.host import Host

_TOKEN = re.compile(
    r"@([A-Z][A-Z_]*)(?::([A-Za-z0-9._-]*))?@|@(?:ROOT|BIND|SERVER_NAME|WEIGHTS|PORT|ENV|SECRET)\b[^\s@]*"
)


def environment_folder(requirements: Source, host: Host) -> str:
    """The folder of the environment that those requirements make: equal requirements share one."""
    return f"{host.cache}/venvs/{requirements.sha256[:16]}"


def secret_path(name: str, host: Host) -> str:
    """Where a secret's content lies on the machine."""
    return f"{host.root}/secrets/{name}"


def resolve(text: str, host: Host, bundle: Bundle, *, where: str) -> str:
    """`text` with every token replaced. `where` names the file or field for the InvalidBundle of a token that is
    unknown, unfinished, or names what neither bundle nor host has."""

    def one(match: re.Match[str]) -> str:
        return _value(match, host, bundle, where)

    return _TOKEN.sub(one, text)


def resolve_file(path: str, text: str, host: Host, bundle: Bundle) -> str:
    """A rendered file with every token replaced, by its name's ending: in YAML they stand between single quotes, which
    PyYAML gives to all that begins with @; in .cfg and .conf (HAProxy, Redis) between double ones."""
    quoting = _QUOTING.get(path.rpartition(".")[2], str)
    return _TOKEN.sub(lambda match: quoting(_value(match, host, bundle, path)), text)


def _in_double_quotes(value: str) -> str:
    return re.sub(r'([\\"$])', r"\\\1", value)


def _in_single_quotes(value: str) -> str:
    return value.replace("'", "''")


_QUOTING = {
    "yml": _in_single_quotes,
    "yaml": _in_single_quotes,
    "cfg": _in_double_quotes,
    "conf": _in_double_quotes,
}


def _value(match: re.Match[str], host: Host, bundle: Bundle, where: str) -> str:
    token, kind, name = match[0], match[1], match[2]
    plain = {"ROOT": host.root, "BIND": host.bind, "SERVER_NAME": host.server_name, "WEIGHTS": host.weights}
    environments = {e.name: environment_folder(e.requirements, host) for e in bundle.environments}
    named: dict[str, dict[str, str]] = {
        "PORT": {n: str(p) for n, p in host.ports.items()},
        "ENV": environments,
        "SECRET": {n: secret_path(n, host) for n in bundle.secrets},
    }
    if kind in plain and name is None:
        if kind == "SERVER_NAME" and not plain[kind]:
            raise InvalidBundle(f"{where}: {token} is used, and the host of {host.where} has no server_name")
        return plain[kind]
    if kind in named and name is not None:
        if name not in named[kind]:
            known = ", ".join(sorted(named[kind])) or "none"
            raise InvalidBundle(f"{where}: {token} names nothing that is there (known: {known})")
        return named[kind][name]
    raise InvalidBundle(
        f"{where}: {token} is no token: known are @ROOT@, @BIND@, @SERVER_NAME@, @WEIGHTS@, @PORT:name@, "
        "@ENV:name@, @SECRET:name@"
    )
