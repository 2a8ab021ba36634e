"""The plan for a machine's GPUs: what is kept, what is done and in which order, what is refused and why."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from images.gpu.actions import Deed, GpuPlan, Refusal
from images.gpu.facts import AptOffer, GpuFacts, Package, Unit
from images.gpu.matrix import load, shipped
from images.gpu.plan import plan
from tests.unit.images.gpu.situations import (
    DEMAND,
    DRIVER,
    JUDGED,
    KERNEL,
    NVIDIA_OFFERS,
    OFF,
    ON,
    UBUNTU_OFFERS,
    after,
    bare,
    done,
    gpus,
    nvidia_parts,
    vendor,
)

DEBIAN: dict[str, Any] = {"system": ("debian", "12", "Debian GNU/Linux 12 (bookworm)")}
KEYRING = Package("cuda-keyring", "1.1-1")
UBUNTU_PARTS = (
    Package("libnvidia-compute-580-server", "580.105.08-0ubuntu0.24.04.1"),
    Package("nvidia-utils-580-server", "580.105.08-0ubuntu0.24.04.1"),
)


def matrix(**of_systems: Any) -> dict[str, Any]:
    """The shipped one; values of its systems changed."""
    whole = load()
    whole["systems"] = [{**row, **of_systems} for row in whole["systems"]]
    return whole


def planned(facts: GpuFacts, demand: Any = DEMAND, by: Any = None) -> GpuPlan:
    found = plan(facts, demand, by or shipped())
    assert isinstance(found, GpuPlan), found
    return found


def kinds(facts: GpuFacts, **options: Any) -> list[Deed]:
    return [action.kind for action in planned(facts, **options).actions]


def refused(facts: GpuFacts, demand: Any = DEMAND, by: Any = None) -> str:
    found = plan(facts, demand, by or shipped())
    assert isinstance(found, Refusal), found
    assert found.remedy
    return str(found)


def test_a_machine_that_is_as_it_should_be_needs_nothing() -> None:
    assert planned(done()) == GpuPlan()


def test_a_vendors_driver_is_kept_and_held_and_upgrades_are_stopped_before_all_else() -> None:
    found = planned(vendor())
    assert [a.kind for a in found.actions] == [Deed.QUIET, Deed.HOLD]
    assert set(found.actions[1].words) == {p.name for p in vendor().packages}


def test_an_empty_machine_gets_the_pinned_branch_from_nvidia_in_one_transaction() -> None:
    """Kernels are held first; the repository is set up; versions are chosen once its lists are there."""
    first = planned(bare())
    assert [a.kind for a in first.round] == [Deed.QUIET, Deed.HOLD, Deed.KEYRING]
    assert [a.kind for a in first.actions[3:]] == [Deed.INSTALL, Deed.LOAD]
    assert first.round[-1].words[0].endswith("/ubuntu2404/x86_64/cuda-keyring_1.1-1_all.deb")
    ready = bare(packages=(*bare().packages, KEYRING), offers=(*UBUNTU_OFFERS, *NVIDIA_OFFERS), updated=True)
    install = next(a for a in planned(ready).actions if a.kind is Deed.INSTALL)
    assert install.words == (
        DRIVER,
        f"linux-headers-{KERNEL}",
        "nvidia-driver-pinning-580",
        f"nvidia-open={DRIVER}-1ubuntu1",
        f"nvidia-fabricmanager={DRIVER}-1ubuntu1",
    )


def test_headers_that_are_there_and_switches_that_are_not_need_no_packages() -> None:
    ready = bare(packages=(KEYRING,), offers=(*UBUNTU_OFFERS, *NVIDIA_OFFERS), updated=True, headers=True, switches=0)
    install = next(a for a in planned(ready).actions if a.kind is Deed.INSTALL)
    assert install.words[1:] == ("nvidia-driver-pinning-580", f"nvidia-open={DRIVER}-1ubuntu1")


def test_without_a_keyring_that_can_be_checked_ubuntu_has_its_own_signed_packages() -> None:
    install = next(a for a in planned(bare(updated=True), by=matrix(keyring_sha256="")).actions if a.kind == "install")
    assert install.words[0] == DRIVER
    assert set(install.words[1:]) == {
        f"linux-modules-nvidia-580-server-open-{KERNEL}",
        f"nvidia-headless-no-dkms-580-server-open={DRIVER}-0ubuntu0.24.04.1",
        f"nvidia-utils-580-server={DRIVER}-0ubuntu0.24.04.1",
        f"nvidia-fabricmanager-580={DRIVER}-0ubuntu0.24.04.1",
    }


def test_with_secure_boot_on_too() -> None:
    install = next(a for a in planned(bare(updated=True, secure_boot=True)).actions if a.kind is Deed.INSTALL)
    assert f"linux-modules-nvidia-580-server-open-{KERNEL}" in install.words


def test_lists_are_refreshed_before_versions_are_chosen() -> None:
    ready = bare(packages=(KEYRING,), offers=(*UBUNTU_OFFERS, *NVIDIA_OFFERS))
    assert planned(ready).round[-1].kind is Deed.UPDATE


def test_driver_and_fabric_manager_get_the_newest_version_that_both_have() -> None:
    """Ubuntu's archive had the driver 580.173 and the fabric manager 580.126 (26.04, release pocket)."""
    newer = AptOffer("nvidia-open", "580.173.02-1ubuntu1", "NVIDIA")
    ready = bare(packages=(KEYRING,), offers=(*UBUNTU_OFFERS, *NVIDIA_OFFERS, newer), updated=True)
    install = next(a for a in planned(ready).actions if a.kind is Deed.INSTALL)
    assert install.words[0] == DRIVER


def test_nouveau_that_holds_the_gpus_goes_with_one_reboot_after_the_install() -> None:
    ready = bare(
        packages=(KEYRING,),
        offers=(*UBUNTU_OFFERS, *NVIDIA_OFFERS),
        updated=True,
        nouveau=frozenset({"loaded", "initramfs"}),
    )
    found = planned(ready).actions
    assert [a.kind for a in found][-3:] == [Deed.INSTALL, Deed.BLACKLIST, Deed.REBOOT]
    assert found[-2].words == ("initramfs",)


@pytest.mark.parametrize("waits", [{"newest_kernel": "6.8.0-1030-aws"}, {"reboot_required": True}])
def test_a_machine_boots_its_newest_kernel_before_it_gets_a_driver(waits: dict[str, Any]) -> None:
    assert kinds(bare(**waits)) == [Deed.QUIET, Deed.HOLD, Deed.REBOOT]


def test_a_kept_driver_gets_the_fabric_manager_of_exactly_its_version_from_its_own_archive() -> None:
    """Not the newest one, and not Ubuntu's."""
    facts = done(packages=nvidia_parts("580.95.05", held=True), units={"nvidia-persistenced": ON})
    facts = replace(facts, loaded="580.95.05", module="580.95.05", library="580.95.05", gpus=gpus(driver="580.95.05"))
    found = planned(facts)
    assert [a.kind for a in found.actions] == [Deed.INSTALL, Deed.SERVICES]
    assert found.actions[0].words == ("580.95.05", "nvidia-fabricmanager=580.95.05-1ubuntu1")


def test_a_fabric_manager_of_another_version_is_changed_and_the_driver_is_not() -> None:
    facts = done(packages=nvidia_parts(DRIVER, held=True, fabric="580.95.05"))
    assert [w for a in planned(facts).actions for w in a.words] == [DRIVER, f"nvidia-fabricmanager={DRIVER}-1ubuntu1"]


def test_a_loaded_driver_that_is_not_the_installed_one_is_one_reboot() -> None:
    """2026-09-18: 580.178 installed below a loaded 580.95."""
    facts = done(loaded="580.95.05", smi=18, gpus=())
    assert kinds(facts)[0] is Deed.REBOOT
    words = planned(facts).actions[0].words
    again = replace(facts, rebooted=(facts.boot_id, words[0]), boot_id="boot-2")
    assert "changed nothing" in refused(again)
    assert kinds(replace(again, boot_id=facts.boot_id))[0] is Deed.REBOOT, "it never happened"


def test_an_interrupted_dpkg_is_finished_first() -> None:
    broken = done(packages=(*done().packages, Package("nvidia-dkms-580-open", "580.105.08-1", True, False)))
    assert kinds(broken) == [Deed.FINISH]


def test_a_driver_without_a_module_for_this_kernel_gets_its_headers() -> None:
    facts = done(loaded="", module="", gpus=(), smi=9)
    found = planned(facts).actions
    assert (found[0].kind, found[0].words) == (Deed.INSTALL, (DRIVER, f"linux-headers-{KERNEL}"))


def test_a_driver_that_is_not_loaded_is_loaded() -> None:
    assert kinds(done(loaded="", smi=9, gpus=())) == [Deed.LOAD]


@pytest.mark.parametrize(
    "change",
    [
        {"gpus": gpus(persistent=False)},
        {"persistence_refused": True},
        {"units": {"nvidia-persistenced": OFF, "nvidia-fabricmanager": ON}},
    ],
)
def test_persistence_is_really_on(change: dict[str, Any]) -> None:
    found = planned(done(**change)).actions
    assert [(a.kind, a.words) for a in found] == [(Deed.SERVICES, ("nvidia-persistenced",))]


def test_a_fabric_manager_that_does_not_run_is_started_and_only_where_nvswitches_are() -> None:
    units = {"nvidia-persistenced": ON, "nvidia-fabricmanager": OFF}
    assert [a.words for a in planned(done(units=units)).actions] == [("nvidia-fabricmanager",)]
    assert planned(done(units=units, switches=0)) == GpuPlan()


def test_a_vendors_mixture_of_one_version_stays_where_nothing_has_to_be_installed() -> None:
    mixed = (*UBUNTU_PARTS, *nvidia_parts(DRIVER, fabric=DRIVER))
    facts = done(packages=tuple(replace(package, held=True) for package in mixed))
    assert planned(facts) == GpuPlan()


@pytest.mark.parametrize("state", ["static", "enabled-runtime", "alias"])
def test_a_fabric_manager_that_others_start_is_left_as_it_is(state: str) -> None:
    units = {**done().units, "nvidia-fabricmanager": Unit("loaded", "active", state)}
    assert planned(done(units=units)) == GpuPlan()


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (bare(system=("ubuntu", "22.04", "Ubuntu 22.04.5 LTS")), "Ubuntu 22.04.5 LTS on x86_64"),
        (bare(system=("fedora", "43", "Fedora 43")), "Ubuntu 24.04, Debian 12"),
        (bare(architecture="aarch64"), "aarch64"),
        (bare(root=False), "sudo -n"),
        (bare(devices=()), "no NVIDIA GPU on its PCI bus"),
        (bare(devices=("20b2",) * 4), "4 GPUs on its PCI bus, and 8"),
        (bare(free_bytes=1 << 30), "1.0 GiB are free"),
        (bare(secure_boot=True, **DEBIAN), "secure boot is on"),
        (bare(updated=True, secure_boot=True, offers=()), "Ubuntu's archive has no version of branch 580"),
        (bare(updated=True, packages=(KEYRING,), offers=NVIDIA_OFFERS), f"apt cannot get linux-headers-{KERNEL}"),
        (vendor("570.86.15"), "needs branch 580 or newer"),
        (vendor("535.309.01"), "needs branch 580 or newer"),
        (vendor("590.44.01"), "branch 590, which"),
        (vendor("615.10"), "branch 615, which"),
        (vendor("595.64", library="595.71.05"), "kernel module is 595.64 and its libraries are 595.71.05"),
        (vendor(packages=(*UBUNTU_PARTS, *nvidia_parts(DRIVER))), "come from several archives"),
        (
            vendor(packages=(*nvidia_parts(DRIVER)[:2], nvidia_parts("580.95.05")[2])),
            "several versions: 580.105.08, 580",
        ),
        (done(packages=(), units={}), "has no fabric manager, its 6 NVSwitches need one of exactly 580.105.08"),
        (
            done(
                packages=nvidia_parts(DRIVER, held=True), offers=(AptOffer("nvidia-open", "1", "NVIDIA"),), updated=True
            ),
            "NVIDIA's archive has none",
        ),
        (done(loaded="", smi=9, gpus=(), secure_boot=True, signer="DKMS module signing key"), "signed by DKMS"),
        (done(loaded="", module="", gpus=(), smi=9, offers=NVIDIA_OFFERS), "has no module for the kernel"),
        (done(smi=18, gpus=()), "different versions"),
        (done(smi=12, gpus=()), "libnvidia-ml is not there"),
        (done(smi=15, gpus=()), "a GPU is lost"),
        (done(smi=124, gpus=()), "60 s"),
        (done(gpus=gpus(lost=1)), "GPU 0 of 8 is lost"),
        (done(gpus=gpus(7)), "7 GPUs answer, and 8"),
        (done(gpus=(*gpus(7), *gpus(1, "580.95.05"))), "several drivers: 580.105.08, 580.95.05"),
    ],
)
def test_what_cannot_work_is_refused_with_its_reason(facts: GpuFacts, said: str) -> None:
    assert said in refused(facts)


def test_debian_without_a_keyring_is_refused() -> None:
    assert "no SHA-256 of its keyring for Debian 12" in refused(bare(**DEBIAN), by=matrix(keyring_sha256=""))


def test_a_transitional_package_is_no_version_of_its_branch() -> None:
    """Ubuntu's nvidia-fabricmanager-590 depends on 595: the name says one branch and the version another."""
    moved = tuple(replace(offer, version="595.71.05-0ubuntu1") for offer in UBUNTU_OFFERS)
    assert "no version of branch 580" in refused(bare(updated=True, secure_boot=True, offers=moved))


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (bare(container="docker"), "nvidia-smi is not there"),
        (bare(container="docker", smi=9), "cannot be mended from a container. Give the machine back"),
        (vendor("575.57.08", container="docker"), "575.57.08"),
        (vendor(container="docker", gpus=gpus(4)), "4 GPUs answer"),
    ],
)
def test_a_container_is_judged_by_its_hosts_driver(facts: GpuFacts, said: str) -> None:
    assert said in refused(facts, JUDGED)
    assert said in refused(facts, DEMAND)


def test_a_containers_host_may_have_any_newer_branch_and_its_fabric_manager_is_not_seen() -> None:
    assert planned(vendor("590.44.01", container="docker", units={}), JUDGED) == GpuPlan()


def test_an_owners_machine_is_judged_and_never_touched() -> None:
    assert planned(vendor(), JUDGED) == GpuPlan()
    assert "its owner's" in refused(vendor("535.309.01"), JUDGED)
    assert "nvidia-fabricmanager is inactive" in refused(vendor(units={"nvidia-fabricmanager": OFF}), JUDGED)


# --- whatever is there ---------------------------------------------------------------------------------------------

drivers = st.sampled_from(["", "535.309.01", "580.95.05", DRIVER, "590.44.01", "595.71.05"])
MACHINES = st.builds(
    bare,
    loaded=drivers,
    module=drivers,
    library=drivers,
    container=st.sampled_from(["", "", "docker"]),
    secure_boot=st.booleans(),
    signer=st.sampled_from(["", "Canonical Ltd. Kernel Module Signing", "DKMS module signing key"]),
    nouveau=st.frozensets(st.sampled_from(["loaded", "initramfs", "blacklisted"])),
    reboot_required=st.booleans(),
    headers=st.booleans(),
    switches=st.sampled_from([0, 6]),
    updated=st.booleans(),
    smi=st.sampled_from([None, 0, 9, 18]),
    gpus=st.sampled_from([(), gpus(), gpus(persistent=False), gpus(lost=1)]),
    packages=st.lists(
        st.sampled_from(
            [KEYRING, *UBUNTU_PARTS, *nvidia_parts(DRIVER, fabric="580.95.05"), *nvidia_parts("580.95.05")]
        ),
        unique_by=lambda p: p.name,
    ).map(tuple),
    offers=st.sampled_from([(), UBUNTU_OFFERS, (*UBUNTU_OFFERS, *NVIDIA_OFFERS)]),
    units=st.sampled_from([{}, {"nvidia-fabricmanager": OFF}, {"apt-daily.timer": ON}, dict(done().units)]),
    system=st.sampled_from([bare().system, DEBIAN["system"]]),
)


@settings(max_examples=400, deadline=None)
@given(MACHINES)
def test_done_action_by_action_every_plan_ends_empty_or_with_a_reason(facts: GpuFacts) -> None:
    """A container is never touched, nothing is held emptily, one transaction has one origin, and at most a reboot for
    a reason."""
    reboots: list[str] = []
    for _ in range(12):
        found = plan(facts, DEMAND, shipped())
        if isinstance(found, Refusal) or not found.actions:
            return
        assert not facts.container
        assert found.round == found.actions[: len(found.round)]
        for action in found.round:
            assert str(action)
            assert action.words or action.kind in (Deed.QUIET, Deed.FINISH, Deed.UPDATE, Deed.BLACKLIST, Deed.LOAD)
            if action.kind is Deed.INSTALL:
                exact = [word.split("=")[0] for word in action.words[1:] if "=" in word]
                origins = {o.origin for o in facts.offers if o.name in exact}
                assert len(origins) <= 1
            if action.kind is Deed.REBOOT:
                reboots += action.words
            facts = after(facts, action)
        assert len(reboots) == len(set(reboots)), reboots
    pytest.fail(f"no end: {found}")


def test_a_bare_machine_really_gets_there() -> None:
    """Not only refused at the end: NVIDIA's driver, held, loaded, its services up."""
    facts = bare()
    while actions := planned(facts).round:
        for action in actions:
            facts = after(facts, action)
    assert (facts.loaded, facts.unit("nvidia-fabricmanager").active) == (DRIVER, "active")
    assert [package.name for package in facts.packages if not package.held] == ["cuda-keyring"]
    assert facts.unit("apt-daily.timer") == Unit("masked", "inactive", "masked")
