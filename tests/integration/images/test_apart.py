"""A service with a user of its own, by this computer's own systemd as process 1 of a sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from images.bundle import Bundle, PythonEnvironment
from images.sources import repository_source
from images.vehicles.ssh import remove
from tests.integration.images.conftest import SECRET, echo, tiny_bundle
from tests.integration.images.kept import Node, with_systemd
from tests.support.sandbox import prepare_cache

LOCK = "requirements/supervisor.txt"
"""Any environment will do; the tests' own Python made it, which may stand in a home."""
HOME = "/home/ubuntu"
UNIT = "crossover-tiny-one"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    yield from with_systemd(tmp_path, prepare_cache(requirements=(LOCK,)))


def bundle(*, apart: bool, text: str = "first") -> Bundle:
    """Service `one` is started from an environment, and by a user of its own where `apart`."""
    command = ("@ENV:own@/bin/python", *echo("one").command[1:])
    made = tiny_bundle(one=text)
    return replace(
        made,
        environments=(PythonEnvironment("own", repository_source("own.txt", LOCK)),),
        services=(replace(made.services[0], command=command, own_user=apart), *made.services[1:]),
    )


def user_of(node: Node, service: str) -> int:
    return int(node.run(f"stat -c %u /proc/{node.get(service)['pid']}"))


def test_a_service_gets_a_user_of_its_own_by_one_restart_and_keeps_it(node: Node) -> None:
    """Audit 19: a machine that runs goes on, and no other service is touched."""
    node.install(bundle(apart=False))
    assert (user_of(node, "one"), user_of(node, "two")) == (0, 0)
    two = node.get("two")["pid"]
    report = node.install(bundle(apart=True))
    assert (report.restarted, report.reloaded) == (("one",), ())
    # systemd.exec(5), DynamicUser=: "UIDs/GIDs are recycled after a unit is terminated", 61184…65519.
    assert 61184 <= user_of(node, "one") <= 65519
    assert (user_of(node, "two"), node.get("two")["pid"]) == (0, two)
    report = node.install(bundle(apart=True))
    assert (report.changed_files, report.transferred_bytes, report.restarted) == ((), 0, ())
    report = node.install(bundle(apart=True, text="changed"))
    assert (report.restarted, node.get("one")["text"]) == (("one",), "changed")


def test_a_service_with_a_user_of_its_own_runs_from_a_root_that_only_its_owner_may_enter(node: Node) -> None:
    """Audit 19: where people have their stack in their home, it goes on, too."""
    at_home = replace(node, host=replace(node.host, root=f"{HOME}/100 % ours"))
    at_home.install(bundle(apart=False))
    node.run(f"chmod 700 {HOME}")
    at_home.install(bundle(apart=True))
    assert node.get("one")["text"] == "first"
    assert user_of(node, "one") != 0
    pid = node.get("one")["pid"]
    seen = node.run(f"nsenter --target {pid} --mount find /home -type f | sort").splitlines()
    root = at_home.host.root
    assert seen == [f"{root}/config/one.txt", f"{root}/lib/echo.py", f"{root}/run/one"]


def test_its_secret_is_new_after_a_change_and_nothing_is_left_after_a_removal(node: Node) -> None:
    """Audit 19: what systemd hands a service is what stands there when it starts."""
    node.install(bundle(apart=True))
    assert SECRET in node.run(f"tr '\\0' '\\n' </proc/{node.get('one')['pid']}/environ")
    node.run(f"printf other >{node.host.root}/secrets/api-key && systemctl restart {UNIT}")
    assert "API_KEY=other" in node.run(f"tr '\\0' '\\n' </proc/$(systemctl show -P MainPID {UNIT})/environ")
    remove(node.host, bundle(apart=True), node.private_key)
    assert node.run("ls -d /etc/systemd/system/crossover-* 2>/dev/null || true") == ""
