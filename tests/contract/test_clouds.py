"""What every cloud promises, whatever its API: parametrised by the registry."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from paramiko import Ed25519Key

from cost_guard.catalogue.clouds import cloud_facts, load_clouds, not_billing
from cost_guard.catalogue.clouds import declared as declared_by_the_gate
from images.remote.errors import HostKeyChanged
from providers.base import Capability, Firewalled, MachineState, NodeSpec, Owner
from providers.errors import InvalidRequest, NotFound
from providers.registry import CLOUDS, capabilities, cloud
from providers.renting.contact import answers_ssh
from providers.renting.hostkeys import one_use
from tests.contract.conftest import KEY, PRIVATE, TRIALS, Trial

REPOSITORY = Path(__file__).resolve().parents[2]
SPEC = NodeSpec("n", Owner("p", "s", "inference", "a", 1), "r1", "8x", KEY)


def test_every_cloud_is_tried() -> None:
    launching = set(CLOUDS) - declared()
    assert set(TRIALS) == launching, (
        f"add {sorted(launching - set(TRIALS))} of providers/registry.py to VENDORS in tests/clouds/vendors.py, from "
        "which the contract, engine and end-to-end tests and the bench take their clouds"
    )


def declared() -> set[str]:
    """Clouds whose machines are the program's own resources: the plugin launches nothing there."""
    return {name for name in CLOUDS if Capability.DECLARED in capabilities(name)}


def test_a_cloud_that_launches_nothing_says_so_and_has_engine_tests_of_its_own() -> None:
    assert declared() == {"aws"}
    for name in declared():
        assert (REPOSITORY / "tests" / "engine" / f"test_{name}.py").exists()
        with pytest.raises(InvalidRequest, match="it is a resource of the program"):
            cloud(name).launch(SPEC)


def test_the_gate_knows_where_a_failure_domain_is_smaller_than_a_region(trial: Trial) -> None:
    """A domain that is the region counts as one there too; any other must be named, or nodes look kept apart that are
    not."""
    machine = trial.cloud.launch(trial.spec())
    smaller = machine.failure_domain != f"{trial.cloud.name}/{trial.region}"
    assert cloud_facts(trial.cloud.name).smaller_domains == smaller, (
        f"{trial.cloud.name}: its domains are such as {machine.failure_domain}: say smallerDomains = "
        f"{str(smaller).lower()} in catalogue/data/clouds.toml"
    )


def test_the_gate_names_no_cloud_that_does_not_exist_as_smaller_than_regions() -> None:
    """Beside those that are tried: a zone of AWS (tests/unit/providers/clouds/aws/test_aws_client.py)."""
    smaller = {name for name, facts in load_clouds().items() if facts.smaller_domains}
    assert smaller - set(TRIALS) == declared()


def test_the_gates_table_has_every_cloud_and_no_other() -> None:
    assert set(load_clouds()) == set(CLOUDS), "catalogue/data/clouds.toml and providers/registry.py must name the same"
    assert set(declared_by_the_gate()) == declared()


def test_the_gate_knows_where_nothing_is_rented() -> None:
    """Machines that are owned, and those whose hour costs nothing: no bill grows there."""
    free = {Capability.OWNED, Capability.BILLS_NOTHING}
    known = {name for name in CLOUDS if capabilities(name) & free}
    assert known == set(not_billing()), "catalogue/data/clouds.toml: bills = false is for clouds of these capabilities"


def test_the_gate_knows_which_cloud_stands_in_for_others() -> None:
    """One whose hour costs nothing and whose machines are nobody's: what it is to cost, its candidates name."""
    standing = {name for name, facts in load_clouds().items() if facts.stands_in}
    assert standing == {name for name in CLOUDS if Capability.BILLS_NOTHING in capabilities(name)}


def test_an_unknown_cloud_is_named_with_those_that_exist() -> None:
    with pytest.raises(InvalidRequest, match=r"unknown cloud 'lokal': choose one of .*local"):
        cloud("lokal")


def test_a_launched_machine_is_found_by_name_and_carries_its_mark(trial: Trial) -> None:
    machine = trial.ready()
    (listed,) = [m for m in trial.cloud.list("p") if m.name == "n"]
    assert listed == trial.cloud.get(machine.id)
    assert listed.owner == Owner("p", "s", "inference", "a", 1)
    assert listed.state is MachineState.RUNNING
    assert set(listed.ports) == {"ssh", "vllm"}
    assert listed.ssh_user
    assert listed.failure_domain.startswith(f"{trial.cloud.name}/")
    assert trial.cloud.list("another project") == []


def test_two_machines_share_neither_id_nor_port(trial: Trial) -> None:
    a, b = trial.ready("a"), trial.ready("b")
    assert a.id != b.id
    assert {(a.address, p) for p in a.ports.values()} & {(b.address, p) for p in b.ports.values()} == set()


def decoded(value: str) -> str:
    """The text, where it is base64 of one."""
    try:
        return base64.b64decode(value, validate=True).decode()
    except ValueError:
        return ""


def test_its_host_key_is_known_or_was_given_to_it(trial: Trial) -> None:
    machine = trial.ready()
    if trial.emulator is not None:
        order = trial.orders[machine.id]
        texts = [order.user_data or "", *(decoded(value) for value in order.environment.values())]
        given = next(text for text in texts if "PRIVATE KEY" in text)
        pem = json.loads(given.partition("\n")[2])["ssh_keys"]["ed25519_private"] if given.startswith("#") else given
        public = Ed25519Key.from_private_key(io.StringIO(pem)).get_base64()
        assert public == one_use(PRIVATE, "n").public.split()[1]
        assert machine.host_key == ""
        return
    answers_ssh(machine)
    other = "ssh-ed25519 " + KEY.split()[1]
    changed = replace(machine, host_key=other)
    with pytest.raises(HostKeyChanged, match=r"host key of machine .* changed: expected SHA256:.*got SHA256:"):
        answers_ssh(changed)


def test_an_ended_machine_is_gone_for_every_question_and_may_be_ended_again(trial: Trial) -> None:
    machine = trial.ready()
    trial.cloud.terminate(machine.id)
    with pytest.raises(NotFound):
        trial.cloud.get(machine.id)
    assert trial.cloud.list() == []
    trial.cloud.terminate(machine.id)


def test_a_vanished_machine_is_not_found(trial: Trial) -> None:
    machine = trial.ready()
    trial.kill(machine.id)
    with pytest.raises(NotFound):
        trial.cloud.get(machine.id)


@pytest.mark.parametrize("change", [{"region": "nowhere"}, {"sku": "nothing"}])
def test_what_can_never_be_rented_is_an_invalid_request_and_leaves_nothing(
    trial: Trial, change: dict[str, str]
) -> None:
    with pytest.raises(InvalidRequest, match=r"choose one of"):
        trial.cloud.launch(trial.spec(**change))
    assert trial.cloud.list() == []


def test_a_section_with_an_unknown_key_is_refused_by_that_key(trial: Trial) -> None:
    trial.cloud.check_settings(trial.settings)
    with pytest.raises(InvalidRequest, match="noSuchKey"):
        trial.cloud.check_settings({"noSuchKey": 1})


def test_a_firewall_of_addresses_may_be_told_at_any_time_and_as_often_as_one_likes(trial: Trial) -> None:
    """Before there is a machine, with one that has no address yet, and after the last; no machine is touched."""
    if not isinstance(trial.cloud, Firewalled):
        assert not hasattr(trial.cloud, "admit")
        return
    owner = trial.spec().owner
    trial.cloud.admit(owner, trial.settings)
    machine = trial.ready()
    for settings in (None, trial.settings, trial.settings):
        trial.cloud.admit(owner, settings)
    assert trial.cloud.list() == [trial.cloud.get(machine.id)]
    with pytest.raises(InvalidRequest, match="noSuchKey"):
        trial.cloud.admit(owner, {"noSuchKey": 1})
    trial.cloud.terminate(machine.id)
    trial.cloud.admit(owner)
    assert trial.cloud.list() == []


def test_its_offers_are_where_and_what_it_can_launch(trial: Trial) -> None:
    offers = trial.cloud.offers()
    assert any((o.region, o.sku) == (trial.region, trial.sku) for o in offers)
    assert all(o.usd_per_hour is not None and o.usd_per_hour >= 0 for o in offers)
    if Capability.BILLS_NOTHING in capabilities(trial.cloud.name):
        assert all(o.usd_per_hour == 0 for o in offers)
