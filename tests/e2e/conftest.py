"""One stack for the tests that look, a fresh clone for those that change."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.checkout import Checkout


@pytest.fixture(scope="session")
def running() -> Iterator[Checkout]:
    """A clone whose stack is up. Tests leave it as they found it."""
    checkout = Checkout.make()
    try:
        checkout.init()
        (checkout.folder / "up.log").write_text(checkout.up("--policy-pack", "policies", "--diff"))
        yield checkout
    finally:
        checkout.discard()


@pytest.fixture
def clone() -> Iterator[Checkout]:
    """A clone with an empty stack."""
    checkout = Checkout.make()
    try:
        checkout.init()
        yield checkout
    finally:
        checkout.discard()
