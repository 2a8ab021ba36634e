"""What the models of all readers share: the strict base model, and fields that stand in several of them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import date
from decimal import Decimal
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict
from pydantic.alias_generators import to_camel

from strict.numbers import Number, Whole, parse_day, parse_flag, refuse, shown

Share = Annotated[Decimal, Number(at_least="0", at_most="1", hint="a share is between 0 and 1")]
Usd = Annotated[Decimal, Number(at_least="0", at_most="1e9", hint="in USD")]
UsdAboveZero = Annotated[Decimal, Number(above="0", at_most="1e9", hint="in USD")]
NodeCount = Annotated[int, Whole(at_least="1", at_most="10000", hint="how many nodes the fleet has, e.g. 2")]
Flag = Annotated[bool, BeforeValidator(parse_flag)]
Day = Annotated[date, BeforeValidator(parse_day)]


def _name(value: object) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > 200:
        raise refuse(f"must be a name, got {shown(value)}")
    return value


Name = Annotated[str, BeforeValidator(_name)]


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise refuse(f"must be a text that is not empty, got {shown(value)}")
    return value


Text = Annotated[str, BeforeValidator(_text)]

_MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}")


def model_name(value: str) -> str:
    """The name of a model, of clients' or of an engine's. Raises ValueError."""
    if not _MODEL_NAME.fullmatch(value):
        raise ValueError(f"{value!r} is no model name: letters, digits and . _ : / - only, at most 128")
    return value


ModelName = Annotated[str, AfterValidator(model_name)]


def form(pattern: str, what: str, *, show: bool = True) -> AfterValidator:
    """Of a text that matches the whole pattern; a refusal says `what` it must be, and shows the text unless it may be a
    secret in the wrong place."""

    def checked(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise refuse(f"must be {what}{f', got {shown(value)}' if show else ''}")
        return value

    return AfterValidator(checked)


SecretName = Annotated[
    str,
    form(
        "[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?",
        "a name of small letters, digits and dashes; the secret itself stands below that name in crossover:apiKeys",
        show=False,
    ),
]
HOST_NAME = r"[A-Za-z0-9][A-Za-z0-9-]{0,62}(\.[A-Za-z0-9][A-Za-z0-9-]{0,62})*"


def ip_address(value: str) -> str:
    """An IP address in its one form. Raises ValueError."""
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise ValueError(f"{value!r} is no IP address") from None


def address(value: str) -> str:
    """An IP address in its one form, or a host name. Raises ValueError."""
    with suppress(ValueError):
        return ip_address(value)
    if len(value) <= 253 and re.fullmatch(HOST_NAME, value):
        return value
    raise ValueError(f"{value!r} is neither an IP address nor a host name")


IpAddress = Annotated[str, AfterValidator(ip_address)]
Address = Annotated[str, AfterValidator(address)]


def url(value: str) -> str:
    """An address over http or https: a host, perhaps a port, path and query; no user and no password, which would be
    shown wherever it is. Raises ValueError."""
    if not re.fullmatch(r"https?://[!#-&(-?A-~]+", value):
        raise ValueError("must be a URL like https://api.example.com/v1, of printable ASCII, without a user")
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018 - it is read when it is asked for
    except ValueError as e:
        raise ValueError(f"must be a URL like https://api.example.com/v1: {e}") from None
    address(parts.hostname or "")
    return value


def in_clear(value: str) -> bool:
    """Whether what goes to that URL can be read on its way: it is http, and not to this computer itself."""
    parts = urlsplit(value)
    host = parts.hostname or ""
    with suppress(ValueError):
        return parts.scheme == "http" and not ipaddress.ip_address(host).is_loopback
    return parts.scheme == "http" and host != "localhost"


Url = Annotated[str, AfterValidator(url)]

WIDEST_PREFIX = 8
"""A range below /8 is "the world" in a few rows, such as 0.0.0.0/1 and 128.0.0.0/1."""


def cidr(value: str) -> str:
    """The range in its one form, "203.0.113.7/32" for a single address. Raises ValueError, also for the world."""
    try:
        network = ipaddress.IPv4Network(value)
    except ValueError as e:
        raise ValueError(f"{value!r} is no IPv4 range like 203.0.113.0/24: {e}") from None
    if network.prefixlen < WIDEST_PREFIX:
        raise ValueError(f"{value} is open to the world: name the ranges of those who may connect, e.g. 203.0.113.7/32")
    return str(network)


Cidr = Annotated[str, AfterValidator(cidr)]
"""A range of IPv4 addresses that may connect."""


class Given:
    """Marks a field that the reader gives: no key of the data, so no message names it."""


class Section(BaseModel):
    """The base of every model that data are parsed into: frozen, camelCase keys, nothing unknown.

    Code may make one by its Python names; `strict.problems.parse`, through which data come, takes no such key.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        defer_build=True,  # to start faster: most are parts of another one and need no validator of their own
    )


def without_null(data: object, key: str) -> object:
    """The same data, less a key that is there and says nothing."""
    if not isinstance(data, Mapping):
        return data
    return {name: value for name, value in data.items() if name != key or value is not None}


def named_secrets(value: object, key: str = "") -> Iterator[str]:
    """The names that keys such as `tokenSecret` and `apiKeySecret` give, anywhere in plain data."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from named_secrets(item, str(name))
    elif isinstance(value, list):
        for item in value:
            yield from named_secrets(item, key)
    elif isinstance(value, str) and key.endswith("Secret"):
        yield value
