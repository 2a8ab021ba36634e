"""A stack that an earlier commit brought up, under load, gets to this one: no request lost, no machine replaced."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.test_repair import clients
from tests.support.checkout import REPOSITORY, Checkout

BEFORE = "64b15b1bbfe215dfbb5a0582ad6e3f3522f5683b"
"""The last commit whose nodes let anybody past TLS."""
RESOURCES = ("gpucloud:index:Node", "gpucloud:index:Install", "gpucloud:index:Credentials")


@pytest.fixture
def before(tmp_path: Path) -> Iterator[Checkout]:
    """A clone of that commit with its stack up. Skipped where the history does not reach back to it."""
    tree = tmp_path / "before"
    added = subprocess.run(
        ["git", "worktree", "add", "--quiet", "--detach", tree, BEFORE],
        cwd=REPOSITORY,
        check=False,
        capture_output=True,
    )
    if added.returncode:
        pytest.skip("this clone's history does not reach back to the commit before")
    try:
        checkout = Checkout.make(root=tree)
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", tree], cwd=REPOSITORY, check=True)
    try:
        checkout.init()
        checkout.up()
        yield checkout
    finally:
        checkout.discard()


def ids(checkout: Checkout) -> dict[str, str]:
    """URN → id of what costs to make again."""
    found = checkout.state()["deployment"]["resources"]
    return {resource["urn"]: resource["id"] for resource in found if resource["type"] in RESOURCES}


def brought_to_this_commit(checkout: Checkout) -> None:
    """The files of the clone are this tree's; its state, its configuration and its machines are as they were."""
    now = Checkout.make()
    try:
        for kept in (".state", ".venv"):
            (now.folder / kept).unlink() if (now.folder / kept).is_symlink() else shutil.rmtree(now.folder / kept)
        shutil.rmtree(now.folder / "stacks" / "config")
        for path in checkout.folder.iterdir():
            if path.name in (".state", ".venv"):
                continue
            if path.name == "stacks":
                shutil.move(path / "config", now.folder / "stacks" / "config")
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        for path in now.folder.iterdir():
            shutil.move(path, checkout.folder / path.name)
    finally:
        now.discard()


@pytest.mark.slow
def test_nodes_ask_for_the_certificate_once_the_gateway_shows_it(before: Checkout) -> None:
    outputs, made = before.outputs(), ids(before)
    brought_to_this_commit(before)
    with clients(outputs["endpoint"], outputs["endpointKey"], outputs["model"]) as load:
        first = before.up()
        assert first.count("left as it is, and serving") >= 2, first  # the nodes; the gateway's change comes after them
        second = before.up()
    assert (load.broken, load.cut, set(load.answers)) == ([], 0, {200}), (load, first, second)
    assert "left as it is" not in second
    for key in ("a", "b"):
        assert f"{key} is out of rotation, all its requests finished" in second
    assert ids(before) == made
    after = before.outputs()
    assert {key: after[key] for key in outputs} == outputs  # no key and no address is another one
    assert "updated" not in before.up()
