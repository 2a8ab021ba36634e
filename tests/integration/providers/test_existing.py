"""Machines that are owned, each a real sshd: renting one through `renting.rent`, and the stack's key on it."""

from __future__ import annotations

import getpass
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from images.remote.errors import HostKeyChanged
from images.remote.waiting import Waiting
from providers.base import Candidate, NodeSpec, Owner
from providers.clouds.existing.cloud import ExistingCloud
from providers.clouds.existing.config import ExistingConfig
from providers.errors import NoCapacity, Unauthorized
from providers.renting.naming import mark
from providers.renting.rent import rent
from providers.renting.until import await_contact
from tests.support import sshd
from tests.support.clouds import request
from tests.support.owned import HOST_KEY, owned
from tests.support.ports import free_port

OWNER = Owner("p", "s", "inference", "a", 1)


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="xo-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def machine(folder: Path) -> Iterator[sshd.Machine]:
    with sshd.machine(folder / "m", folder / "c") as made:
        yield made


def cloud(folder: Path, *entries: dict[str, Any]) -> ExistingCloud:
    (folder / "machines.yaml").write_text(yaml.safe_dump({"machines": list(entries)}))
    return ExistingCloud(ExistingConfig(folder / "machines.yaml", folder / "claims"))


def spec() -> NodeSpec:
    return NodeSpec("n", OWNER, "hall-1/rack-1", "small", HOST_KEY, {"ssh": 22})


def keys(machine: sshd.Machine) -> list[str]:
    return (machine.folder / "home" / ".ssh" / "authorized_keys").read_text().splitlines()


def test_renting_claims_a_machine_and_meets_it_and_ending_it_leaves_it_running(
    folder: Path, machine: sshd.Machine
) -> None:
    team = cloud(folder, owned(machine, "dgx-1"))
    asked = request(candidates=(Candidate("existing", "hall-1/rack-1", "small"),))
    rented = rent(asked, lambda name: team, Waiting())
    assert (rented.address, rented.ports["ssh"], rented.ssh_user) == ("127.0.0.1", machine.ssh_port, getpass.getuser())
    assert rent(asked, lambda name: team, Waiting()).id == rented.id
    team.terminate(rented.id)
    assert team.list() == []
    assert await_contact(team.launch(spec()), team, "", 60, Waiting()).address == "127.0.0.1"


def test_a_machine_with_another_host_key_is_not_met_and_is_released(folder: Path, machine: sshd.Machine) -> None:
    team = cloud(folder, owned(machine, "dgx-1") | {"hostKey": HOST_KEY})
    asked = request(candidates=(Candidate("existing", "hall-1/rack-1", "small"),))
    with pytest.raises(HostKeyChanged, match="host key of machine"):
        rent(asked, lambda name: team, Waiting())
    assert team.list() == []


def test_with_an_identity_the_stacks_key_replaces_that_of_an_earlier_claim_and_no_other(
    folder: Path, machine: sshd.Machine
) -> None:
    (machine.folder / "home" / ".ssh").mkdir()
    own, earlier = f"{HOST_KEY} alice@laptop", f"{HOST_KEY} {mark(replace(OWNER, stack='old'))}"
    rotated = f"{HOST_KEY} crossover"
    (machine.folder / "home" / ".ssh" / "authorized_keys").write_text(f"{own}\n{earlier}\n{rotated}\n")
    team = cloud(folder, owned(machine, "dgx-1", identityFile=str(machine.folder / "user_key")))
    claim = team.launch(spec())
    assert keys(machine) == [own, f"{HOST_KEY} {mark(OWNER)}"]
    team.terminate(claim.id)
    team.launch(spec())
    assert keys(machine) == [own, f"{HOST_KEY} {mark(OWNER)}"]


def test_an_identity_that_the_machine_refuses_is_told_and_nothing_is_claimed(
    folder: Path, machine: sshd.Machine
) -> None:
    sshd.make_key(folder / "stranger")
    team = cloud(folder, owned(machine, "dgx-1", identityFile=str(folder / "stranger")))
    with pytest.raises(Unauthorized, match=rf"127\.0\.0\.1:{machine.ssh_port} refuses identityFile"):
        team.launch(spec())
    assert team.list() == []


def test_the_identity_is_not_used_on_a_machine_with_another_host_key(folder: Path, machine: sshd.Machine) -> None:
    entry = owned(machine, "dgx-1", identityFile=str(machine.folder / "user_key")) | {"hostKey": HOST_KEY}
    with pytest.raises(HostKeyChanged, match="Nothing was sent"):
        cloud(folder, entry).launch(spec())


def test_where_one_does_not_answer_the_next_is_claimed(folder: Path, machine: sshd.Machine) -> None:
    identity = {"identityFile": str(machine.folder / "user_key")}
    dead = owned(machine, "a", **identity) | {"sshPort": free_port()}
    team = cloud(folder, dead, owned(machine, "b", **identity))
    assert team.launch(spec()).id.startswith("b-")
    with pytest.raises(NoCapacity, match=r"a: .*does not answer SSH.*; b is claimed"):
        team.launch(spec())
