"""One stack for the tests that look, one without a machine for those that make none, a fresh clone for the others."""

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


@pytest.fixture(scope="session")
def shared() -> Iterator[Checkout]:
    """A clone with an empty stack, for `empty`."""
    checkout = Checkout.make()
    try:
        checkout.init()
        yield checkout
    finally:
        checkout.discard()


@pytest.fixture
def empty(shared: Checkout) -> Iterator[Checkout]:
    """A clone with an empty stack, in which nothing is ever made: configuration and variables are each test's own."""
    yield shared
    assert shared.machines == {}
    shared.reset()
    shared.variables.clear()


@pytest.fixture
def clone() -> Iterator[Checkout]:
    """A clone with an empty stack."""
    checkout = Checkout.make()
    try:
        checkout.init()
        yield checkout
    finally:
        checkout.discard()
