"""A cloud's section of a stack's `clouds`, parsed as everything else that people write (`strict.problems`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

from providers.errors import InvalidRequest
from strict.fields import Section
from strict.problems import MISSING, Problems, parse

AnySection = TypeVar("AnySection", bound=Section)


_OLD_UBUNTU = re.compile(r"(?<!\d)(1[0-9]|2[0-3])[.-]04(?!\d)")


def node_image(name: str) -> str:
    """An image for GPU nodes, by a name that tells its system. Raises ValueError for an Ubuntu before 24.04, which
    would be found out only on the rented machine: vLLM needs Python 3.11, and 22.04 has 3.10."""
    if _OLD_UBUNTU.search(name):
        raise ValueError(f"{name!r} is older than Ubuntu 24.04, and vLLM needs Python 3.11; take an image of 24.04")
    return name


def parse_section(
    model: type[AnySection], cloud: str, section: Mapping[str, Any], missing: Mapping[str, str] | None = None
) -> AnySection:
    """The settings. Raises InvalidRequest with a line for each key that is wrong, as `clouds.<cloud>.<key>`; what
    `missing` says of a key stands there in place of the general words."""
    try:
        return parse(model, section, f"clouds.{cloud}.", values=False)  # one of them may be a secret
    except Problems as e:
        keys = {f"clouds.{cloud}.{key}": text for key, text in (missing or {}).items()}
        said = {f"{key}: {MISSING}": f"{key}: {text}" for key, text in keys.items()}
        raise InvalidRequest("\n".join(said.get(line, line) for line in e.lines)) from None
