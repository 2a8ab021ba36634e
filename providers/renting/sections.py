"""A cloud's section of a stack's `clouds`, parsed as everything else that people write (`strict.problems`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from providers.errors import InvalidRequest
from strict.fields import Section
from strict.problems import MISSING, Problems, parse

AnySection = TypeVar("AnySection", bound=Section)


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
