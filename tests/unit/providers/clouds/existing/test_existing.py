"""Machines that a team owns: what an hour costs, what the file may say, and that no two ever claim the same one."""

from __future__ import annotations

import threading
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from providers.base import Capability, MachineState, NodeSpec, Owner
from providers.clouds.existing.cloud import ExistingCloud
from providers.clouds.existing.config import ExistingConfig, OwnedMachine, load
from providers.errors import CloudError, InvalidRequest, NoCapacity, NotFound, Unauthorized, Unavailable
from providers.registry import capabilities
from tests.support.owned import HOST_KEY, entry

SPEC = NodeSpec(
    name="n", owner=Owner("p", "s", "inference", "a", 1), region="hall-1/rack-1", sku="small",
    ssh_public_key=HOST_KEY, ports={"ssh": 22, "vllm": 8000},
)  # fmt: skip


class Team:
    """A team's file and state folder."""

    def __init__(self, folder: Path) -> None:
        self.cloud = ExistingCloud(ExistingConfig(folder / "machines.yaml", folder / "claims"))

    def owns(self, *entries: dict[str, Any]) -> ExistingCloud:
        self.cloud.config.machines.write_text(yaml.safe_dump({"machines": list(entries)}, sort_keys=False))
        return self.cloud


@pytest.fixture
def team(tmp_path: Path) -> Team:
    return Team(tmp_path)


def refusal(team: Team, text: str) -> str:
    team.cloud.config.machines.write_text(text)
    with pytest.raises(InvalidRequest) as e:
        load(team.cloud.config.machines)
    assert "\n" not in str(e.value)
    return str(e.value)


def test_an_hour_costs_the_purchase_over_its_months_and_the_power() -> None:
    """180000 / (36 × 730) + 4.5 × 0.18 = 6.84932 + 0.81."""
    assert OwnedMachine.model_validate(entry()).usd_per_hour == Decimal("7.6593")


@given(st.integers(0, 10**7), st.integers(1, 240), st.integers(0, 20_000), st.decimals(0, 10, places=4))
def test_a_machine_costs_its_purchase_when_its_months_are_over(usd: int, months: int, watts: int, kwh: Decimal) -> None:
    """The hours of its life × the hourly price = purchase + energy, but for rounding to 0.0001 USD an hour."""
    machine = OwnedMachine.model_validate(entry(purchaseUsd=usd, months=months, watts=watts, usdPerKwh=str(kwh)))
    hours = months * 730
    exact = usd + hours * Decimal(watts) / 1000 * kwh
    assert abs(machine.usd_per_hour * hours - exact) <= hours * Decimal("0.00005")


def test_everything_but_the_necessary_has_a_default() -> None:
    machine = OwnedMachine.model_validate(entry())
    assert (machine.ssh_port, machine.bind, machine.supervision) == (22, "0.0.0.0", "systemd")
    assert (machine.root, machine.cache, machine.ports) == ("/opt/crossover", "/var/cache/crossover", {})


@pytest.mark.parametrize("key", ["id", "address", "sshUser", "hostKey", "region", "sku", "purchaseUsd", "months"])
def test_a_missing_key_is_named_with_file_and_line(team: Team, key: str) -> None:
    said = refusal(team, yaml.safe_dump({"machines": [entry("a"), entry("b", **{key: None})]}, sort_keys=False))
    assert f"machines.yaml:{2 + len(entry())}: machines[1].{key}: missing" in said


def test_a_typo_is_refused_with_its_line_and_the_nearest_key(team: Team) -> None:
    said = refusal(team, yaml.safe_dump({"machines": [entry("a", watt=5)]}, sort_keys=False))
    assert f"machines.yaml:{len(entry()) + 2}: machines[0].watt: unknown key (did you mean watts?)" in said


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"supervision": "upstart"}, "machines[0].supervision: must be 'systemd' or 'supervisor'"),
        ({"months": 0}, "machines[0].months: must be at least 1"),
        ({"hostKey": "SHA256:abc"}, "machines[0].hostKey: must be of the form"),
        ({"id": "DGX 1"}, "machines[0].id: must be of the form"),
        ({"ports": {"ssh": 22}}, "machines[0]: ports: the port of ssh is sshPort"),
        ({"ports": {"vllm": 70000}}, "machines[0].ports.vllm: must be at most 65535"),
        ({"bind": "0.0.0.0\n    bind *:1"}, "is no IP address"),
        ({"bind": "anything"}, "machines[0].bind: 'anything' is no IP address"),
        (
            {"address": "-oProxyCommand=x"},
            "machines[0].address: '-oProxyCommand=x' is neither an IP address nor a host",
        ),
    ],
)
def test_a_value_that_cannot_be_used_is_named(team: Team, change: dict[str, Any], told: str) -> None:
    assert told in refusal(team, yaml.safe_dump({"machines": [entry(**change)]}))


@pytest.mark.parametrize(
    ("second", "told"),
    [({"id": "a", "address": "b"}, "the id a"), ({"id": "b", "address": "a"}, "the address and sshPort a:22")],
)
def test_two_entries_for_one_machine_are_refused(team: Team, second: dict[str, str], told: str) -> None:
    text = yaml.safe_dump({"machines": [entry("a", address="a"), entry(**second)]})
    assert f"two machines have {told}" in refusal(team, text)


def test_a_file_that_is_no_yaml_is_told_with_its_line(team: Team) -> None:
    assert "machines.yaml:3: not YAML: " in refusal(team, "machines:\n  - {id: a\n")
    assert "machines.yaml:1: expected a map of keys" in refusal(team, "")


def test_no_file_reads_like_missing_credentials(team: Team) -> None:
    with pytest.raises(Unauthorized, match="CROSSOVER_EXISTING_MACHINES"):
        team.cloud.offers()


def test_where_the_files_are_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CROSSOVER_EXISTING_MACHINES", str(tmp_path / "m.yaml"))
    monkeypatch.setenv("CROSSOVER_EXISTING_STATE", str(tmp_path / "s"))
    assert ExistingConfig.from_environment() == ExistingConfig(tmp_path / "m.yaml", tmp_path / "s")
    monkeypatch.delenv("CROSSOVER_EXISTING_MACHINES")
    monkeypatch.delenv("CROSSOVER_EXISTING_STATE")
    config = ExistingConfig.from_environment()
    assert str(config.machines).endswith("stacks/config/existing.yaml")
    assert str(config.state).endswith(".state/existing")


def test_a_claim_is_a_running_machine_with_all_that_the_file_says(team: Team) -> None:
    cloud = team.owns(entry(sshPort=2222, ports={"vllm": 18000}, supervision="supervisor", bind="10.0.0.5"))
    machine = cloud.launch(replace(SPEC, ports={"ssh": 22, "vllm": 8000, "metrics": 9100}))
    assert machine == cloud.get(machine.id) == cloud.start(machine.id) == cloud.list("p")[0]
    assert (machine.state, machine.name, machine.owner) == (MachineState.RUNNING, "n", SPEC.owner)
    assert (machine.address, machine.ssh_user, machine.host_key) == ("dgx-1.example", "ubuntu", HOST_KEY)
    assert machine.ports == {"ssh": 2222, "vllm": 18000, "metrics": 9100}
    assert (machine.bind, machine.supervision) == ("10.0.0.5", "supervisor")
    assert machine.failure_domain == "existing/hall-1/rack-1"
    assert machine.usd_per_hour == Decimal("7.6593")
    assert cloud.list("another") == []


def test_when_all_are_claimed_there_is_no_capacity_until_one_is_released(team: Team) -> None:
    cloud = team.owns(entry("a"), entry("b"), entry("c", region="hall-2"))
    claimed = [cloud.launch(SPEC) for _ in range(2)]
    with pytest.raises(NoCapacity, match="a is claimed; b is claimed"):
        cloud.launch(SPEC)
    cloud.terminate(claimed[0].id)
    assert cloud.launch(SPEC).address == claimed[0].address


def test_a_claim_that_was_made_anew_is_another_machine(team: Team) -> None:
    """An old state must never release what somebody else claimed since."""
    cloud = team.owns(entry())
    old = cloud.launch(SPEC)
    cloud.terminate(old.id)
    new = cloud.launch(SPEC)
    cloud.terminate(old.id)
    with pytest.raises(NotFound):
        cloud.get(old.id)
    assert cloud.get(new.id) == new


def test_of_many_at_once_each_claims_another(team: Team) -> None:
    cloud = team.owns(*(entry(f"m{i}") for i in range(8)))
    claimed: list[str] = []
    threads = [threading.Thread(target=lambda: claimed.append(cloud.launch(SPEC).address or "")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == [f"m{i}.example" for i in range(8)]


def test_a_claim_is_exclusive_even_where_locks_do_not_bind(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two computers that share the folder: the file itself decides."""
    cloud = team.owns(entry())
    monkeypatch.setattr("fcntl.flock", lambda *_: None)

    def meanwhile() -> None:
        other = team.cloud.claims.make("dgx-1", {}, lambda: None)
        assert other is not None

    assert cloud.claims.make("dgx-1", {}, meanwhile) is None
    assert [path.name for path in cloud.claims.state.iterdir() if not path.name.startswith(".")] == ["dgx-1.json"]


def test_the_cheapest_comes_first_and_none_above_the_ceiling(team: Team) -> None:
    cloud = team.owns(entry("dear", purchaseUsd=300_000), entry("cheap", purchaseUsd=100_000))
    assert cloud.launch(replace(SPEC, max_usd_per_hour=Decimal(8))).address == "cheap.example"
    with pytest.raises(NoCapacity, match=r"dear costs 12\.2255 USD/h, above 8"):
        cloud.launch(replace(SPEC, max_usd_per_hour=Decimal(8)))


def test_unknown_places_and_sizes_are_answered_with_the_nearest(team: Team) -> None:
    cloud = team.owns(entry("a", sku="8x-a100"), entry("b", sku="8x-h100", region="hall-2"))
    with pytest.raises(InvalidRequest, match="'hall2': choose one of hall-2, hall-1/rack-1"):
        cloud.launch(replace(SPEC, region="hall2"))
    with pytest.raises(InvalidRequest, match="in hall-2: choose one of 8x-h100"):
        cloud.launch(replace(SPEC, region="hall-2", sku="8x-a100"))
    assert cloud.list() == []


def test_an_offer_counts_those_that_are_free(team: Team) -> None:
    cloud = team.owns(entry("a"), entry("b"), entry("c", purchaseUsd=90_000))
    cloud.launch(SPEC)
    told = {(o.usd_per_hour, o.available, o.description) for o in cloud.offers()}
    assert told == {(Decimal("7.6593"), True, "2 of 2 free"), (Decimal("4.2347"), False, "0 of 1 free")}
    assert Capability.BILLS_NOTHING not in capabilities(cloud.name)


def test_a_change_in_the_file_reaches_a_claimed_machine_and_its_loss_ends_no_claim(team: Team) -> None:
    cloud = team.owns(entry())
    machine = cloud.launch(SPEC)
    team.owns(entry(address="moved.example"))
    assert cloud.get(machine.id).address == "moved.example"
    cloud.config.machines.unlink()
    assert cloud.get(machine.id).address == "dgx-1.example"
    assert "no longer listed" in cloud.get(machine.id).status


def test_a_missing_state_folder_is_no_absence(team: Team) -> None:
    cloud = team.owns(entry())
    with pytest.raises(Unavailable, match="is not there"):
        cloud.get("dgx-1-00000000")
    assert cloud.list() == []


def test_a_claim_that_cannot_be_read_is_told(team: Team) -> None:
    cloud = team.owns(entry())
    machine = cloud.launch(SPEC)
    cloud.claims._path(machine.id).write_text("{")
    for ask in (cloud.list, cloud.offers, lambda: cloud.get(machine.id)):
        with pytest.raises(Unavailable, match=r"cannot read the claim .*dgx-1\.json"):
            ask()


@pytest.mark.parametrize("wrong", ["../../etc-00000000", "dgx-1", ""])
def test_an_id_that_is_none_touches_no_file(team: Team, wrong: str) -> None:
    with pytest.raises(CloudError):
        team.owns(entry()).terminate(wrong)


def test_what_fails_while_it_is_prepared_leaves_no_claim(team: Team, tmp_path: Path) -> None:
    cloud = team.owns(entry(identityFile=str(tmp_path / "none")))
    with pytest.raises(Unauthorized, match="identityFile of dgx-1 cannot be used"):
        cloud.launch(SPEC)
    assert cloud.list() == []


def test_there_is_nothing_to_set(team: Team) -> None:
    team.cloud.check_settings({})
    with pytest.raises(InvalidRequest, match=r"clouds\.existing: there is nothing to set, got image"):
        team.cloud.check_settings({"image": "x"})


def test_the_example_in_the_docs_is_one(team: Team) -> None:
    """It shows every key, and costs what the text says."""
    page = Path(__file__).parents[5] / "docs" / "reference" / "clouds" / "existing.md"
    text = page.read_text().partition("```yaml\n")[2].partition("```")[0]
    team.cloud.config.machines.write_text(text)
    [machine] = load(team.cloud.config.machines)
    assert machine.usd_per_hour == Decimal("7.6593")
    assert machine.model_fields_set == set(OwnedMachine.model_fields)
