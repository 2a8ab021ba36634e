"""GPU nodes on bare machines, by the real apt and systemd: from nothing to a driver that is held and whose services
run, by way of kills and reboots. Driver, kernel modules and devices are stand-ins (tests/support/nvidia.py)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from images.bundle import Bundle, GpuDemand
from images.gpu.acting import perform
from images.gpu.actions import Action, Deed
from images.gpu.matrix import load
from images.remote.connection import Connection
from images.remote.errors import Cancelled, CommandFailed, RemoteError, UnsuitableMachine
from images.remote.host import Host
from images.remote.waiting import Waiting
from images.vehicles.ssh.install import InstallReport, install
from images.vehicles.ssh.steps import gpu
from images.vehicles.ssh.steps.installation import Step
from providers.renting.firstboot import user_data
from providers.renting.hostkeys import one_use
from tests.clouds.server import Boot
from tests.support import nvidia, sandbox_bare, sandbox_systemd
from tests.support.nvidia import Archive, driver, headers, keyring, machine_setup, ubuntu_driver
from tests.support.reached import Reached
from tests.support.sandbox import CACHE, sandboxes
from tests.support.sandbox_bare import Bare, downloaded
from tests.support.sshd import make_key, public_key

BUNDLE = Bundle("gpus", gpu=GpuDemand(install=True, least_driver=580, count=8))
STEPS = (Step("preparing GPUs", gpu.bring_gpus),)
OLD, BOTH, NEW = "580.95.05", "580.105.08", "580.126.16"

INSTALLED = "dpkg-query -W -f '${db:Status-Abbrev} ${Package}\\n' | grep '^[ih]i'"
APT = "DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Options::=--force-unsafe-io --no-install-recommends"
_PARTS = ("nvidia-open", "nvidia-driver-580-open", "nvidia-dkms-580-open", "libnvidia-compute-580", "nvidia-utils-580")
VENDOR = (
    "dpkg -i /srv/packages/keyrings/*.deb && apt-get -qq update && "
    f"apt-get -qq -y install linux-headers-{nvidia.KERNEL} && "
    f"apt-get -qq -y install {' '.join(f'{name}={OLD}-1' for name in _PARTS)}"
)
"""Makes a machine with a vendor's driver; more packages may follow."""
APT_DIES = """
cat >/usr/bin/dpkg.new <<'THE-END'
#!/bin/sh
# Once: kills apt where it would configure what it has unpacked.
case " $* " in
*' --configure '*)
    mv /usr/bin/dpkg.real /usr/bin/dpkg
    kill -9 $PPID
    exit 1
    ;;
esac
exec /usr/bin/dpkg.real "$@"
THE-END
chmod 755 /usr/bin/dpkg.new && mv /usr/bin/dpkg /usr/bin/dpkg.real && mv /usr/bin/dpkg.new /usr/bin/dpkg
"""


@dataclass
class Machine(Reached):
    """A bare machine with devices, the archives that it knows or may come to know, and the way in."""

    within_s = 120

    folder: Path
    base: Archive
    vendor: Archive
    matrix: dict[str, Any]
    said: list[str] = field(default_factory=list)

    def install(self, bundle: Bundle = BUNDLE) -> InstallReport:
        self.said.clear()
        return install(
            self.host,
            bundle,
            {},
            self.key,
            say=self.said.append,
            cancelled=lambda: False,
            deadline_s=180,
            connect_within_s=30,
            steps=STEPS,
        )

    def versions(self) -> set[str]:
        """Of all that is the driver's."""
        return set(self.run("dpkg-query -W -f '${Version}\\n' '*nvidia*' | grep -v '^$'").split())

    def is_served(self, version: str) -> None:
        """Loaded, held, of one version, with its services running and persistence on."""
        assert self.run("cat /sys/module/nvidia/version") == version
        assert self.versions() == {f"{version}-1"}
        assert self.run("dpkg-query -W -f '${db:Status-Abbrev} ${Package}\\n' '*nvidia*' | grep '^ii' || true") == ""
        assert self.run("systemctl is-active nvidia-persistenced nvidia-fabricmanager").split() == ["active"] * 2
        assert self.run("systemctl is-enabled nvidia-persistenced nvidia-fabricmanager").split() == ["enabled"] * 2
        assert self.run("nvidia-smi | grep -c Enabled") == "8"
        assert self.run("apt-config dump APT::Periodic::Enable") == 'APT::Periodic::Enable "0";'


@contextmanager
def machine(
    folder: Path, monkeypatch: pytest.MonkeyPatch, without: Iterable[str] = (), **of_system: Any
) -> Iterator[Machine]:
    """Debian, whose archive has this kernel's headers, and NVIDIA's archive behind a keyring; stand-ins are left out
    by name."""
    if reason := sandbox_bare.missing() or sandbox_systemd.missing():
        pytest.skip(reason)
    base = Archive(folder / "repository", origin="Debian")
    base.add([headers(folder)])
    vendor = Archive(base.folder / "cuda")
    vendor.add([*driver(folder, BOTH), *driver(folder, OLD), *driver(folder, NEW, fabric=False)])
    package = keyring(folder, "file:/srv/packages/cuda")
    (base.folder / "keyrings").mkdir()
    (base.folder / "keyrings" / package.name).write_bytes(package.read_bytes())
    known = {"keyring_sha256": hashlib.sha256(package.read_bytes()).hexdigest(), **of_system}
    matrix = load()
    matrix["keyring"] |= {"host": "file:///srv/packages", "path": f"/keyrings/{package.name}"}
    matrix["systems"] = [{**row, **known} for row in matrix["systems"]]
    matrix["room"] = {"least_gib": 0}
    monkeypatch.setattr(gpu, "shipped", lambda: matrix)
    with sandboxes() as sandboxed:
        key = make_key(folder / "key")
        host_key = one_use(key, "gpus")
        order = Boot("gpus", (public_key(folder / "key"),), user_data(host_key), ports=(22,))
        address = sandboxed.boot(order, systemd=True, bare=Bare(base)).address
        host = Host(address, 22, "ubuntu", host_key.public, "/opt/crossover", CACHE, "0.0.0.0")
        made = Machine(host, key, folder, base, vendor, matrix)
        made.run(machine_setup(without))
        yield made


def test_an_empty_machine_gets_one_version_of_all_from_one_archive_and_a_second_run_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts that are newer than the newest fabric manager stay in the archive, though dependencies say "or newer"."""
    with machine(tmp_path, monkeypatch) as m:
        report = m.install()
        m.is_served(BOTH)
        assert report.found["driver"] == BOTH
        assert report.found["gpus"] == "8 × NVIDIA A100-SXM4-80GB"
        plan = [line for line in m.said if line.startswith("GPUs:   ")]
        assert "set up NVIDIA's package repository" in plan[1]
        before = m.run("cat /proc/sys/kernel/random/boot_id; stat -c %y /var/lib/dpkg/status /var/lib/apt/lists")
        again = m.install()
        assert (again.found, m.said) == (report.found, [])
        assert before == m.run(
            "cat /proc/sys/kernel/random/boot_id; stat -c %y /var/lib/dpkg/status /var/lib/apt/lists"
        )
        enables_a_running_fabric_manager_without_a_restart(m)


def enables_a_running_fabric_manager_without_a_restart(m: Machine) -> None:
    """What runs on the GPUs would go with it."""
    process = "systemctl show -p MainPID --value nvidia-fabricmanager"
    before = m.run(f"systemctl --quiet disable nvidia-fabricmanager; {process}")
    m.install()
    assert m.run(process) == before
    assert m.run("systemctl is-enabled nvidia-fabricmanager") == "enabled"


def test_nouveau_goes_with_one_reboot_and_the_run_goes_on_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with machine(tmp_path, monkeypatch) as m:
        m.run("touch /etc/nouveau; echo drivers/gpu/drm/nouveau/nouveau.ko >/etc/initramfs; mkdir /sys/module/nouveau")
        before = m.run("cat /proc/sys/kernel/random/boot_id")
        m.install()
        m.is_served(BOTH)
        assert m.run("cat /proc/sys/kernel/random/boot_id") != before
        assert [line for line in m.said if line.startswith("connecting again")] == [
            "connecting again: nouveau holds the GPUs"
        ]
        assert m.run("ls /var/lib/crossover-gpu") == "", "the mark of the reboot is gone"


def test_a_run_that_dies_at_each_of_its_deeds_is_ended_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each run gets one deed further and dies there; apt by SIGKILL, between unpacking and configuring."""
    done: list[Deed] = []
    with machine(tmp_path, monkeypatch) as m:

        def dies(connection: Connection, action: Action, facts: Any, watch: Waiting, say: Any) -> None:
            first = action.kind not in done
            if first:
                done.append(action.kind)
            if first and action.kind is Deed.INSTALL:
                m.run(APT_DIES)
            perform(connection, action, facts, watch, say)
            if first:
                raise Cancelled("died")

        monkeypatch.setattr(gpu, "perform", dies)
        runs = 0
        while runs < 12:
            runs += 1
            try:
                m.install()
                break
            except RemoteError:
                continue
        m.is_served(BOTH)
        assert set(done) == {Deed.QUIET, Deed.KEYRING, Deed.INSTALL, Deed.FINISH, Deed.HOLD, Deed.LOAD, Deed.SERVICES}
        assert runs == len(done) + 1


def test_a_vendors_driver_is_kept_and_gets_the_fabric_manager_of_exactly_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Older than what the archive has; a fabric manager of another version was there, and did not start."""
    with machine(tmp_path, monkeypatch) as m:
        m.run(f"{VENDOR} nvidia-fabricmanager={BOTH}-1 && modprobe nvidia")
        m.install()
        m.is_served(OLD)


def test_with_secure_boot_on_ubuntu_has_signed_modules_and_a_transitional_package_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debian's apt below Ubuntu's name; the names and origin are those of Ubuntu's archive."""
    with machine(tmp_path, monkeypatch) as m:
        archive = Archive(m.base.folder, origin="Ubuntu")
        archive.add(ubuntu_driver(m.folder, BOTH))
        m.run(
            'rm /etc/os-release; printf \'ID=ubuntu\\nVERSION_ID="24.04"\\nPRETTY_NAME="Ubuntu 24.04.3 LTS"\\n\' '
            ">/etc/os-release; echo SecureBoot enabled >/etc/mokutil; "
            "echo Canonical Ltd. Kernel Module Signing >/etc/signer"
        )
        report = m.install()
        assert (report.found["driver"], report.found["image"]) == (BOTH, "Ubuntu 24.04.3 LTS")
        assert m.run("dpkg-query -W -f '${Version}' nvidia-fabricmanager-580") == f"{BOTH}-0ubuntu0.24.04.1"
        assert m.run("systemctl is-active nvidia-fabricmanager nvidia-persistenced").split() == ["active"] * 2
        assert "nvidia-fabricmanager-580" in m.run("apt-mark showhold")


def test_headers_that_nobody_has_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with machine(tmp_path, monkeypatch) as m:
        next(m.base.folder.glob("linux-headers*.deb")).unlink()
        m.base.add([])
        with pytest.raises(UnsuitableMachine, match=f"apt cannot get linux-headers-{nvidia.KERNEL}"):
            m.install()
        assert "nvidia-open" not in m.run(INSTALLED)


@pytest.mark.slow
def test_packages_of_two_archives_are_refused_with_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with machine(tmp_path, monkeypatch) as m:
        compute = next(m.vendor.folder.glob(f"libnvidia-compute-580_{OLD}*"))
        m.base.add([compute])
        for other in m.vendor.folder.glob("libnvidia-compute-580_*"):
            other.unlink()
        m.vendor.add([])
        m.run(VENDOR)
        with pytest.raises(UnsuitableMachine, match="libnvidia-compute-580 from Debian") as refused:
            m.install()
        assert "nvidia-open from NVIDIA" in str(refused.value)


@pytest.mark.slow
def test_a_driver_that_is_newer_on_the_disk_is_one_reboot_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As unattended upgrades leave a machine: nvidia-smi fails, what runs goes on, and nothing starts any more."""
    with machine(tmp_path, monkeypatch) as m:
        m.install()
        m.run(f"echo {OLD} >/sys/module/nvidia/version; ! nvidia-smi >/dev/null")
        m.install()
        m.is_served(BOTH)
        assert [line for line in m.said if line.startswith("connecting again")] == [
            f"connecting again: driver {OLD} is loaded and {BOTH} is installed"
        ]


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """One for those that change nothing; its keyring is not the one that is expected."""
    with pytest.MonkeyPatch.context() as patched:
        with machine(tmp_path_factory.mktemp("gpus"), patched, keyring_sha256="ab" * 32) as made:
            yield made


def test_a_keyring_of_another_sum_installs_nothing(untouched: Machine) -> None:
    before = untouched.run(INSTALLED)
    with pytest.raises(CommandFailed, match=f"and {'ab' * 32} is expected"):
        untouched.install()
    assert untouched.run(INSTALLED) == before
    assert untouched.run("ls /etc/apt/sources.list.d") == ""


def test_an_archive_that_does_not_answer_is_named(untouched: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = untouched.matrix
    gone = {**matrix, "keyring": {**matrix["keyring"], "path": "/not-there.deb"}}
    monkeypatch.setattr(gpu, "shipped", lambda: gone)
    with pytest.raises(CommandFailed, match=r"file:///srv/packages/not-there\.deb cannot be fetched"):
        untouched.install()


def test_debian_with_secure_boot_on_is_refused(untouched: Machine) -> None:
    untouched.run("echo SecureBoot enabled >/etc/mokutil")
    with pytest.raises(UnsuitableMachine, match="secure boot is on"):
        untouched.install()
    untouched.run("echo SecureBoot disabled >/etc/mokutil")


def test_an_owners_machine_is_judged_and_stays_as_it_is(untouched: Machine) -> None:
    untouched.run("rm -f /etc/apt/apt.conf.d/99crossover-no-upgrades")
    judged = replace(BUNDLE, gpu=GpuDemand(install=False, least_driver=580, count=8))
    with pytest.raises(UnsuitableMachine, match=r"nvidia-smi is not there.*its owner's"):
        untouched.install(judged)
    assert untouched.run("apt-config dump APT::Periodic::Enable; ls /etc/apt/sources.list.d") == ""


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_debians_own_driver_is_found_and_refused_as_too_old_with_and_without_its_modules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its real packages, 535 of non-free. DKMS builds its five modules, three minutes long, once there are headers: for
    their kernel, which is not the one that runs here. The real nvidia-smi ends with 9."""
    if reason := sandbox_bare.missing() or sandbox_systemd.missing():
        pytest.skip(reason)
    parts, build = ("nvidia-kernel-dkms", "nvidia-smi", "nvidia-persistenced"), "linux-headers-amd64"
    try:
        packages = downloaded(*parts, build, components="contrib non-free non-free-firmware")
    except RuntimeError as e:
        pytest.skip(str(e))
    with machine(tmp_path, monkeypatch, without=nvidia.REAL) as m:
        m.base.add(packages)
        m.run(f"{APT} update && {APT} install {' '.join(parts)}")
        modules = m.run("dkms status")
        assert "added" in modules, modules
        assert "installed" not in modules
        assert m.run("nvidia-smi >/dev/null 2>&1 || echo $?") == "9"
        refuses_535(m)
        m.run(f"{APT} install {build}", within_s=1500)
        assert re.search(r"^nvidia-current/535\.\S+, 6\.1\.\S+, x86_64: installed$", m.run("dkms status"), re.MULTILINE)
        assert m.run("modinfo -k $(ls /lib/modules | grep '^6[.]1[.]0-') -F version nvidia-current").startswith("535.")
        refuses_535(m)
        assert m.run("apt-mark showhold") == "", "nothing is touched on a machine that is refused"


def refuses_535(machine: Machine) -> None:
    with pytest.raises(
        UnsuitableMachine, match=r"driver is 535\.\d+\.\d+, and vLLM .* needs branch 580 or newer"
    ) as said:
        machine.install()
    assert "A vendor's driver is not replaced" in str(said.value)
