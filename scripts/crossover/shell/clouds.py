"""Asks all clouds of the registry at once; one that cannot answer does not keep the others from answering."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from providers import registry
from providers.base import Cloud
from providers.errors import CloudError, Incomplete, Unauthorized

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class CloudAnswer(Generic[Found]):
    """What one cloud said. At most one of `missing` and `failed` is not empty; with `failed`, a part of it may have
    answered."""

    cloud: str
    found: tuple[Found, ...] = ()
    missing: str = ""
    """Which credentials are missing or refused, in the cloud's words."""
    failed: str = ""
    """Why a cloud that has credentials, or a part of it, could not be asked."""

    @property
    def trouble(self) -> dict[str, str]:
        """As JSON; empty where the cloud answered."""
        return {key: value for key in ("missing", "failed") if (value := getattr(self, key))}


def ask(question: Callable[[Cloud], Iterable[Found]], names: Iterable[str] | None = None) -> list[CloudAnswer[Found]]:
    """One answer for each cloud (of the registry, unless named), in alphabetical order. Raises InvalidRequest for a
    name that is no cloud's."""
    clouds = {name: registry.cloud(name) for name in sorted(registry.CLOUDS if names is None else names)}

    def answer(name: str) -> CloudAnswer[Found]:
        try:
            return CloudAnswer(name, tuple(question(clouds[name])))
        except Incomplete as e:
            return CloudAnswer(name, e.found, failed=str(e))
        except Unauthorized as e:
            return CloudAnswer(name, missing=str(e))
        except CloudError as e:
            return CloudAnswer(name, failed=str(e))
        except Exception as e:  # a bug of ours, or an answer of a shape that nobody thought of: the others answer
            return CloudAnswer(name, failed=f"bug in the cloud {name}: {type(e).__name__}: {e}")

    with ThreadPoolExecutor(max(1, len(clouds))) as pool:
        return list(pool.map(answer, clouds))
