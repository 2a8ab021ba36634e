"""Install: what a failure leaves in the state, and how a fleet changes."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import pytest

import providers.plugin.install
from images.bundle import Bundle
from images.remote.errors import Cancelled, CheckFailed
from images.remote.waiting import Waiting
from providers.base import Machine, NodeSpec, Owner
from providers.errors import Gone, Incomplete
from providers.plugin.handler import InitFailed
from providers.plugin.install import CLIENTS_SHOW, InstallHandler
from providers.plugin.turns.rolling import ChangeStopped
from providers.plugin.values import UNKNOWN, Plain, detailed_diff
from providers.renting.contact import WayIn
from providers.renting.naming import machine_name
from tests.support.clouds import FakeCloud


class Installer:
    """Fails while `broken`; remembers what it was called with."""

    def __init__(self) -> None:
        self.broken = False
        self.calls: list[str] = []
        self.roots: list[str] = []
        self.tunnels: list[str] = []
        self.without: list[str] = []
        """What gateways answer that lack the certificate, before one has it."""

    def install(self, news: Plain, previous_private_key: str | None, waiting: Waiting) -> dict[str, str]:
        self.calls.append(f"install {previous_private_key}->{news['sshPrivateKey']}")
        if self.broken:
            raise CheckFailed("the machine does not answer")
        return {}

    def inspect(self, olds: Plain, waiting: Waiting) -> list[str]:
        return []

    def remove(self, olds: Plain, waiting: Waiting) -> None:
        self.calls.append("remove")

    @contextmanager
    def out_of_rotation(
        self, gateway: Plain, node: str, private_keys: Sequence[str], waiting: Waiting
    ) -> Iterator[Callable[[], None]]:
        self.calls.append(f"drain {node} at {gateway['id']}")
        self.roots.append(gateway["root"])
        self.tunnels.append(gateway.get("tunnel", ""))
        yield lambda: self.calls.append(f"{node} serves")
        self.calls.append(f"back {node}")

    def missing(self, gateway: Plain, secret: str, private_keys: Sequence[str], waiting: Waiting) -> str:
        self.calls.append(f"does {gateway['id']} show {secret}?")
        return self.without.pop(0) if self.without else ""


def launched(cloud: FakeCloud, role: str, key: str, carries_gateway: bool = False, stack_id: str = "1a2b") -> str:
    owner = Owner("p", "s", role, key, 1, stack_id)
    ports = {"ssh": 22, **({"endpoint": 8080} if carries_gateway or role == "gateway" else {})}
    machine = cloud.launch(NodeSpec(machine_name(owner), owner, key, "gpu", "k", ports))
    cloud.get(machine.id)
    return f"fake/{machine.id}"


def inputs(machine_id: str, key: str = "OLD", role: str = "inference") -> Plain:
    return {
        "machine": {"id": machine_id}, "role": role, "fleet": "f", "stackId": "1a2b", "serverName": "a", "bundle": {},
        "secrets": {}, "sshPrivateKey": key, "deadlineS": 1,
    }  # fmt: skip


@pytest.fixture
def cloud() -> FakeCloud:
    return FakeCloud()


def test_a_rotation_that_failed_still_knows_the_key_that_the_machine_knows(cloud: FakeCloud) -> None:
    installer, machine = Installer(), launched(cloud, "inference", "a")
    handler = InstallHandler(installer, lambda _: cloud, ("fake",))
    installer.broken = True
    with pytest.raises(InitFailed) as caught:
        handler.update("id", inputs(machine, "OLD"), inputs(machine, "NEW"), Waiting())
    installer.broken = False
    state = caught.value.outputs
    InstallHandler(installer, lambda _: cloud, ("fake",)).update("id", state, inputs(machine, "NEW"), Waiting())
    assert installer.calls == ["install OLD->NEW", "install OLD->NEW"]


def test_a_node_is_out_of_its_gateways_rotation_while_it_changes(cloud: FakeCloud) -> None:
    installer, machine, gateway = Installer(), launched(cloud, "inference", "a"), launched(cloud, "gateway", "g")
    handler = InstallHandler(installer, lambda _: cloud, ("fake",))
    handler.update("id", inputs(machine), inputs(machine), Waiting())
    assert installer.calls == [f"drain a at {gateway}", "install OLD->OLD", "a serves", "back a"]
    handler.update("id", inputs(gateway, role="gateway"), inputs(gateway, role="gateway"), Waiting())
    assert installer.calls[4:] == ["install OLD->OLD"]


def test_no_gateway_changes_while_a_node_is_out_of_its_rotation(cloud: FakeCloud) -> None:
    """Its HAProxy is reloaded then, and takes the node in again, which restarts: clients were answered 500."""
    machine, gateway = launched(cloud, "inference", "a"), launched(cloud, "gateway", "g")
    waits, begun = threading.Event(), list[threading.Thread]()

    class Meeting(Installer):
        def install(self, news: Plain, previous_private_key: str | None, waiting: Waiting) -> dict[str, str]:
            if news["role"] == "inference":
                begun.append(threading.Thread(target=update, args=(of_gateway, Waiting(cancelled=asked))))
                begun[0].start()
                assert waits.wait(60), "the gateway's change does not wait for its turn"
            self.calls.append(news["role"])
            return {}

    def asked() -> bool:
        waits.set()
        return False

    def update(news: Plain, waiting: Waiting) -> None:
        handler.update("id", news, news, waiting)

    installer, of_gateway = Meeting(), {**inputs(gateway, role="gateway"), "fleet": "gateway"}
    handler = InstallHandler(installer, lambda _: cloud, ("fake",))
    update(inputs(machine), Waiting())
    begun[0].join(timeout=60)
    assert installer.calls == [f"drain a at {gateway}", "inference", "a serves", "back a", "gateway"]


def test_an_interruption_before_its_turn_leaves_a_change_not_begun(cloud: FakeCloud) -> None:
    """An InitFailed would put the new values into the state, and the machine has the old ones."""
    installer, machine = Installer(), launched(cloud, "inference", "a")
    handler = InstallHandler(installer, lambda _: cloud, ("fake",))
    with handler.rolling.lock, pytest.raises(Cancelled):
        handler.update("id", inputs(machine), inputs(machine, "NEW"), Waiting(cancelled=lambda: True))
    assert installer.calls == []


def test_all_gateways_hear_that_a_node_serves_before_one_is_waited_for(cloud: FakeCloud) -> None:
    """One that cannot see it until it is changed itself would make all others wait."""
    installer, machine = Installer(), launched(cloud, "inference", "a")
    for key in ("g", "h"):
        launched(cloud, "gateway", key)
    InstallHandler(installer, lambda _: cloud, ("fake",)).update("id", inputs(machine), inputs(machine), Waiting())
    assert installer.calls[2:] == ["install OLD->OLD", "a serves", "a serves", "back a", "back a"]


def test_a_change_that_fails_tells_no_gateway_that_its_node_serves(cloud: FakeCloud) -> None:
    installer, machine, gateway = Installer(), launched(cloud, "inference", "a"), launched(cloud, "gateway", "g")
    installer.broken = True
    handler = InstallHandler(installer, lambda _: cloud, ("fake",))
    with pytest.raises(InitFailed):
        handler.update("id", inputs(machine), inputs(machine), Waiting())
    assert installer.calls == [f"drain a at {gateway}", "install OLD->OLD"]


def test_a_gateway_of_another_stack_of_that_name_is_not_asked_to_drain(cloud: FakeCloud) -> None:
    """Audit 4: also for a node whose own mark is of before identities, as its install's state says whose it is."""
    installer, machine = Installer(), launched(cloud, "inference", "a", stack_id="")
    ours, _ = launched(cloud, "gateway", "g"), launched(cloud, "gateway", "g", stack_id="2b3c")
    InstallHandler(installer, lambda _: cloud, ("fake",)).update("id", inputs(machine), inputs(machine), Waiting())
    assert installer.calls == [f"drain a at {ours}", "install OLD->OLD", "a serves", "back a"]


ASKS: Plain = Bundle("inference", secrets=("client.pem",), clients_show="client.pem").to_dict()


def test_what_a_bundle_asks_of_clients_is_found_by_its_name() -> None:
    assert ASKS[CLIENTS_SHOW] == "client.pem"


def test_a_node_asks_for_a_certificate_only_once_its_gateways_show_it(cloud: FakeCloud) -> None:
    """Else it stays as it is, which is no failure: the gateway's change comes after it, and the next `up` goes on."""
    installer, machine, gateway = Installer(), launched(cloud, "inference", "a"), launched(cloud, "gateway", "g")
    handler, warned = InstallHandler(installer, lambda _: cloud, ("fake",)), list[str]()
    installer.without = ["it has not loaded it yet"]
    before, after = inputs(machine) | {"found": {"driver": "1"}}, inputs(machine, "NEW") | {"bundle": ASKS}
    kept = handler.update("id", before, after, Waiting(warn=warned.append))
    asked = f"does {gateway} show client.pem?"
    assert (kept, installer.calls) == (before, [asked])
    assert len(warned) == 1
    assert "left as it is, and serving" in warned[0]
    assert "it has not loaded it yet" in warned[0]
    assert "run `up` again" in warned[0]
    assert detailed_diff(handler.compared(kept), handler.compared(after), handler.inputs, handler.replacing)

    installer.calls.clear()
    done = handler.update("id", kept, after, Waiting(warn=warned.append))
    changed = [f"drain a at {gateway}", "install OLD->NEW", "a serves", "back a"]
    assert installer.calls == [asked, *changed]
    assert {key: done[key] for key in handler.inputs} == after
    installer.calls.clear()
    handler.update("id", done, after, Waiting())  # it is asked for once
    assert installer.calls == [changed[0], "install NEW->NEW", *changed[2:]]
    assert len(warned) == 1


def test_a_new_node_waits_for_no_gateway(cloud: FakeCloud) -> None:
    installer, machine, _ = Installer(), launched(cloud, "inference", "a"), launched(cloud, "gateway", "g")
    installer.without = ["not yet"] * 9
    handler = InstallHandler(installer, lambda _: cloud, ("fake",))
    handler.create("urn", inputs(machine) | {"bundle": ASKS}, Waiting())
    assert installer.calls == ["install None->OLD"]


def test_a_gateway_is_told_of_although_a_part_of_its_cloud_is_silent(
    cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    installer, machine, gateway = Installer(), launched(cloud, "inference", "a"), launched(cloud, "gateway", "g")
    found, said = cloud.list(), list[str]()

    def partly(owner_project: str | None = None) -> list[Machine]:
        raise Incomplete("r2: no right", found)

    monkeypatch.setattr(cloud, "list", partly)
    InstallHandler(installer, lambda _: cloud, ("fake",)).update(
        "id", inputs(machine), inputs(machine), Waiting(say=said.append)
    )
    assert installer.calls[0] == f"drain a at {gateway}"
    assert said == ["cannot look for a gateway everywhere at fake: r2: no right"]


def test_a_gateway_without_an_open_port_is_told_through_its_tunnel(
    cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is identified through the program of its cloud, and the installer is told the way."""
    installer, machine, gateway = Installer(), launched(cloud, "inference", "a"), launched(cloud, "gateway", "g")
    name = gateway.removeprefix("fake/")
    cloud.machines[name] = replace(cloud.machines[name], tunnel="ssm:us-east-1/i-0123abcd")
    monkeypatch.setattr(cloud, "tunnel", lambda way, port: ("reach", way, str(port)), raising=False)
    monkeypatch.setattr(cloud, "refused", lambda said: False, raising=False)
    ways: list[WayIn] = []

    def known(found: Machine, keys: Sequence[str], way: WayIn) -> Machine:
        ways.append(way)
        return found

    monkeypatch.setattr(providers.plugin.install, "identified", known)
    handler = InstallHandler(installer, lambda _: cloud, ("fake",))
    handler.update("id", inputs(machine), inputs(machine), Waiting())
    assert [way.tunnel for way in ways] == [("reach", "ssm:us-east-1/i-0123abcd", "22")]
    assert installer.tunnels == ["ssm:us-east-1/i-0123abcd"]


def test_after_a_failure_the_rest_of_the_fleet_is_left_alone(cloud: FakeCloud) -> None:
    installer, machine = Installer(), launched(cloud, "inference", "a")
    handler = InstallHandler(installer, lambda _: cloud, ("fake",))
    installer.broken = True
    with pytest.raises(InitFailed):
        handler.update("id", inputs(machine), inputs(machine), Waiting())
    with pytest.raises(ChangeStopped, match="one broken node is enough"):
        handler.update("id", inputs(machine), inputs(machine), Waiting())
    assert len(installer.calls) == 1


def test_what_was_on_a_machine_that_is_gone_is_gone_with_it(cloud: FakeCloud) -> None:
    installer, machine = Installer(), launched(cloud, "inference", "a")
    handler = InstallHandler(installer, lambda _: cloud, ("fake",))
    assert handler.read("id", inputs(machine), Waiting()) is not None
    cloud.get_faults.extend([Gone("terminated"), Gone("terminated")])
    assert handler.read("id", inputs(machine), Waiting()) is None
    handler.delete("id", inputs(machine), Waiting())
    assert installer.calls == []


def test_a_gateway_on_a_serving_machine_is_told_too_at_its_own_root(cloud: FakeCloud) -> None:
    installer = Installer()
    machines = [launched(cloud, "inference", key, carries_gateway=True) for key in "ab"]
    handler = InstallHandler(installer, lambda _: cloud, ("fake",))
    handler.update("id", inputs(machines[0]), inputs(machines[0]), Waiting())
    assert installer.calls[:2] == [f"drain a at {machine}" for machine in machines]
    assert installer.roots == ["/opt/crossover-gateway"] * 2


def test_nothing_is_installed_on_a_vacant_node_and_nothing_removed(cloud: FakeCloud) -> None:
    installer, vacant = Installer(), inputs("vacant/p-s-a-g1-0123abcd")
    handler = InstallHandler(installer, lambda _: cloud, ("fake",))
    assert handler.create("urn", vacant, Waiting()) == ("vacant/p-s-a-g1-0123abcd/inference", vacant)
    handler.update("id", vacant, vacant, Waiting())
    handler.delete("id", vacant, Waiting())
    assert installer.calls == []


BUNDLE: Plain = {
    "role": "inference",
    "sources": {"bin/route.py": {"source": "images/route.py", "sha256": "aa", "mode": 420}},
    "environments": [{"name": "vllm", "requirements": {"path": "vllm.txt", "source": "vllm.txt", "sha256": "bb"}}],
}


def differences(old: Plain, new: Plain) -> list[str]:
    """What a preview would show of two bundles, as the provider asks for it."""
    handler = InstallHandler(Installer(), lambda _: FakeCloud(), ("fake",))
    before, after = ({"machine": {"id": "fake/1"}, "bundle": bundle} for bundle in (old, new))
    return sorted(detailed_diff(handler.compared(before), handler.compared(after), ("bundle",), handler.replacing))


def test_a_file_that_moved_in_the_repository_is_no_difference_while_its_bytes_are_the_same() -> None:
    moved = json.loads(
        json.dumps(BUNDLE).replace("images/route.py", "images/roles/route.py").replace("vllm.txt", "v.txt")
    )
    moved["environments"][0]["requirements"]["path"] = "vllm.txt"
    assert moved != BUNDLE
    assert differences(BUNDLE, moved) == []
    assert differences(BUNDLE, json.loads(json.dumps(moved).replace('"aa"', '"cc"'))) == [
        'bundle.sources["bin/route.py"].sha256'
    ]
    assert differences(BUNDLE, {**BUNDLE, "role": "gateway"}) == ["bundle.role"]


def test_a_bundle_that_only_up_will_know_is_compared_as_it_is() -> None:
    handler = InstallHandler(Installer(), lambda _: FakeCloud(), ("fake",))
    assert handler.compared({"bundle": UNKNOWN}) == {"bundle": UNKNOWN}
    assert handler.compared({}) == {}
