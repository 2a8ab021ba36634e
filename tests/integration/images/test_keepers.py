"""The keepers of services, held to one promise: supervisor on a machine of this computer, and this computer's own
systemd as process 1 of a sandbox."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from images.remote.connection import Connection
from images.remote.errors import RemoteError
from images.remote.waiting import Waiting
from images.sources import REPOSITORY
from images.vehicles.ssh import remove
from images.vehicles.ssh.keepers.choice import KEEPERS, keeper
from images.vehicles.ssh.layout.layout import layout_for
from tests.integration.images.conftest import SECRET, Bench, echo, tiny_bundle
from tests.integration.images.kept import Node, with_supervisor, with_systemd
from tests.support.eventually import eventually


@pytest.fixture(params=sorted(KEEPERS))
def node(request: pytest.FixtureRequest, new_bench: Callable[..., Bench], tmp_path: Path) -> Iterator[Node]:
    made = {"systemd": lambda: with_systemd(tmp_path), "supervisor": lambda: with_supervisor(new_bench())}
    yield from made[request.param]()


def test_services_are_started_reloaded_restarted_and_revived(node: Node) -> None:
    """What a change disturbs is what it must; what dies comes back; a look tells the rest."""
    report = node.install(tiny_bundle())
    assert (report.restarted, report.checks) == (("one", "two"), ("one", "two"))
    assert node.services() == ["one", "two"]
    one, two = node.get("one")["pid"], node.get("two")["pid"]
    report = node.install(tiny_bundle())
    assert (report.changed_files, report.transferred_bytes, report.restarted) == ((), 0, ())
    assert (node.get("one")["pid"], node.get("two")["pid"]) == (one, two)
    report = node.install(tiny_bundle(one="changed", two="changed"))
    assert (report.restarted, report.reloaded) == (("one",), ("two",))
    eventually(lambda: node.get("two").get("text") == "changed", "the signal")
    assert (node.get("one")["text"], node.get("two")["pid"]) == ("changed", two)
    before = node.get("one")["pid"]
    assert before != one
    node.run(f"kill -KILL {before}")
    eventually(lambda: node.get("one").get("pid", before) != before, "a new process")
    # supervisord calls it STARTING until it has lived for a while.
    eventually(lambda: node.inspect(tiny_bundle("changed", "changed")).healthy, "a healthy service")


def test_a_service_that_somebody_stopped_is_told_and_started_by_the_next_install(node: Node) -> None:
    node.install(tiny_bundle())
    node.run(node.stop_two)
    problems = node.inspect(tiny_bundle()).problems
    assert any("two" in problem for problem in problems), problems
    assert node.install(tiny_bundle()).restarted == ("two",)
    assert node.get("two")["text"] == "second"


def test_a_service_that_a_step_ended_stays_so_until_the_next_install(node: Node) -> None:
    """As a node's that gives a wrong answer."""
    node.install(tiny_bundle())
    with Connection.open(node.host, node.private_key) as connection:
        layout = layout_for(node.host, tiny_bundle(), REPOSITORY)
        keeper(connection, layout, Waiting(60), print).stop("two")
    assert (node.get("two"), node.get("one")["text"]) == ({}, "first")
    assert node.install(tiny_bundle()).restarted == ("two",)
    assert node.get("two")["text"] == "second"


def test_a_service_that_does_not_start_is_told_with_its_log_and_without_its_secret(node: Node) -> None:
    bundle = tiny_bundle(one="refuse")
    checks = (replace(bundle.checks[0], deadline_s=20), *bundle.checks[1:])
    with pytest.raises(RemoteError) as caught:
        node.install(replace(bundle, checks=checks))
    assert "refusing to start" in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_service_that_is_not_wanted_any_more_goes_and_removal_takes_all(node: Node) -> None:
    node.install(tiny_bundle())
    one, whole = node.get("one")["pid"], tiny_bundle()
    node.install(replace(whole, services=(echo("one"),), checks=whole.checks[:1], files=whole.files[:1]))
    assert node.get("two") == {}
    assert (node.services(), node.get("one")["pid"]) == (["one"], one)
    assert remove(node.host, whole, node.private_key)
    assert node.get("one") == {}
    assert node.services() == []
