"""Ranges of IPv4 addresses, as the section of a cloud names those who may connect."""

from __future__ import annotations

import ipaddress
from typing import Annotated

from pydantic import AfterValidator

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
