"""What look.sh answers is read as it is meant, and what nobody knows is skipped.

Values are put together here (synthetic). The forms are the real tools': rows of nvidia-smi as the real 550 writes them
over NVIDIA's mock of NVML, apt's words as `apt-cache policy` prints them of NVIDIA's and Ubuntu's archives.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from images.gpu.acting import describe, found
from images.gpu.facts import GpuFacts, Package, Unit, branch, parse, upstream
from images.gpu.scripts import FOLDER, read_script

SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.sh"))

ANSWER = """\
root\tyes
architecture\tx86_64
kernel\t6.8.0-1021-aws
boot_id\tbd4e7ba6-4065-462d-bea9-02a5c4686ef2
system\tubuntu\t24.04\tUbuntu 24.04.3 LTS
newest_kernel\t6.8.0-1021-aws
free\t69758988288
rebooted\tbefore\tnouveau holds the GPUs
secure_boot\toff
pci\t0x030200\t0x20b2
pci\t0x030200\t0x20b2
pci\t0x068000\t0x1af1
pci\t0x030000\t0x1eb8
pci\t0x040300\t0x10f8
loaded\t580.95.05
module\t580.178.04
license\tDual MIT/GPL
signer\tDKMS module signing key
library\t580.178.04
nouveau\tblacklisted
smi\t0
gpu\t0, NVIDIA A100-SXM4-40GB, 550.163.01, Enabled, 40960, 0
gpu\t3, NVIDIA A100-SXM4-40GB, 550.163.01, Enabled, 40960, [GPU is lost]
gpu\tNo devices were found
unit\tnvidia-persistenced.service\tloaded\tactive\tstatic
unit\tapt-daily.timer\tloaded\tinactive\tmasked
unit\tnvidia-fabricmanager.service\tnot-found\tinactive\t
apt\tyes
periodic\toff
package\thi \tnvidia-open\t580.95.05-0ubuntu1
package\tiF \tnvidia-dkms-580-open\t580.95.05-0ubuntu1
source\thttps://nvidia.example/repos/ubuntu2404/x86_64\tNVIDIA
source\thttp://archive.ubuntu.com/ubuntu noble-updates/main\tUbuntu
offer\tnvidia-open\t580.95.05-0ubuntu1\thttps://nvidia.example/repos/ubuntu2404/x86_64  Packages
offer\tlinux-headers-6.8.0-1021-aws\t6.8.0-1021.23\thttp://archive.ubuntu.com/ubuntu noble-updates/main amd64 Packages
offer\tsomething\t1\tfile:/srv/debs ./ Packages
a line of tomorrow\twith\twords
"""


def test_an_answer_is_read_as_it_is_meant() -> None:
    facts = parse(ANSWER)
    assert (facts.root, facts.apt, facts.system[:2], facts.kernel) == (
        True,
        True,
        ("ubuntu", "24.04"),
        "6.8.0-1021-aws",
    )
    assert (facts.loaded, facts.module, facts.library) == ("580.95.05", "580.178.04", "580.178.04")
    assert (facts.secure_boot, facts.periodic, facts.updated, facts.headers) == (False, False, False, False)
    assert facts.rebooted == ("before", "nouveau holds the GPUs")
    assert facts.nouveau == {"blacklisted"}
    assert facts.free_bytes == 69_758_988_288


def test_devices_are_told_by_their_pci_class() -> None:
    """Two A100 and a graphics card, one NVSwitch; a sound device of NVIDIA's is neither."""
    facts = parse(ANSWER)
    assert (facts.devices, facts.switches) == (("20b2", "20b2", "1eb8"), 1)
    assert parse("nvswitch\t0\nnvswitch\t1\n").switches == 2


def test_a_lost_gpu_is_told_by_its_values_and_a_row_without_a_gpu_is_none() -> None:
    facts = parse(ANSWER)
    assert [gpu.lost for gpu in facts.gpus] == [False, True]
    assert [gpu.name for gpu in facts.working] == ["NVIDIA A100-SXM4-40GB"]
    assert all(gpu.persistent and gpu.driver == "550.163.01" for gpu in facts.gpus)


def test_packages_know_whether_they_are_held_and_whole_and_who_offers_them() -> None:
    facts = parse(ANSWER)
    assert facts.packages == (
        Package("nvidia-open", "580.95.05-0ubuntu1", held=True),
        Package("nvidia-dkms-580-open", "580.95.05-0ubuntu1", whole=False),
    )
    assert facts.origins(facts.packages[0]) == {"NVIDIA"}
    assert facts.origins(facts.packages[1]) == set()
    assert [(o.name, o.origin) for o in facts.offers[1:]] == [
        ("linux-headers-6.8.0-1021-aws", "Ubuntu"),
        ("something", ""),
    ]


def test_units_are_on_when_they_run_or_would() -> None:
    facts = parse(ANSWER)
    assert facts.unit("nvidia-persistenced") == Unit("loaded", "active", "static")
    assert facts.unit("nvidia-persistenced").on
    assert not facts.unit("apt-daily.timer").on
    assert not facts.unit("nvidia-fabricmanager").there
    assert not facts.unit("unheard-of").on
    assert Unit("loaded", "inactive", "enabled").on


def test_of_nothing_nothing_is_known() -> None:
    facts = parse("")
    assert facts == GpuFacts()
    assert describe(facts) == "no GPU on its PCI bus, no driver, unknown system"
    assert found(facts) == {}


def test_half_an_answer_is_no_error() -> None:
    assert parse("package\tii\noffer\nunit\nsmi\tstrange\nfree\t\nsystem\tubuntu\n") == GpuFacts()


@pytest.mark.parametrize(
    ("version", "driver"),
    [
        ("580.105.08-0ubuntu0.24.04.1", "580.105.08"),
        ("1:535.171.04-1~deb12u1", "535.171.04"),
        ("580.95.05", "580.95.05"),
        ("", ""),
    ],
)
def test_a_packages_version_holds_the_drivers(version: str, driver: str) -> None:
    assert upstream(version) == driver


def test_a_branch_is_the_first_number_of_a_version() -> None:
    assert (branch("580.105.08"), branch(""), branch("[N/A]")) == (580, 0, 0)


def test_what_was_found_is_for_people() -> None:
    facts = parse(ANSWER)
    assert found(facts) == {
        "driver": "550.163.01",
        "gpus": "2 × NVIDIA A100-SXM4-40GB",
        "kernel": "6.8.0-1021-aws",
        "image": "Ubuntu 24.04.3 LTS",
    }
    assert describe(facts) == ("2 × NVIDIA A100-SXM4-40GB, 1 NVSwitches, driver 580.95.05 (loaded), Ubuntu 24.04.3 LTS")


# --- the script itself ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_every_script_is_sh(name: str, shell: str) -> None:
    done = subprocess.run([shell, "-n"], input=read_script(name), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def looked(folder: Path, programs: Mapping[str, str]) -> GpuFacts:
    """look.sh of this computer, with stand-ins of these programs first on its PATH."""
    for name, text in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", read_script("look"), "crossover", "linux-headers-KERNEL"],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": f"{folder}:{os.environ['PATH']}"},
    )
    return parse(done.stdout)


def test_a_machine_without_gpus_is_looked_at_without_an_error(tmp_path: Path) -> None:
    facts = looked(tmp_path, {})
    assert facts.architecture == os.uname().machine
    assert facts.kernel == os.uname().release
    assert (facts.loaded, facts.gpus, facts.devices) == ("", (), ())


def test_what_the_tools_say_is_passed_on(tmp_path: Path) -> None:
    """Stand-ins for nvidia-smi, modinfo, mokutil and systemctl."""
    facts = looked(
        tmp_path,
        {
            "nvidia-smi": 'echo "0, NVIDIA H100 80GB HBM3, 580.95.05, Disabled, 81559, 0"',
            "modinfo": 'case $2 in version) echo 580.95.05 ;; license) echo "Dual MIT/GPL" ;; signer) echo us ;; esac',
            "mokutil": "echo SecureBoot enabled",
            "systemctl": 'case $* in *ExecStart*) echo "argv[]=/usr/bin/nvidia-persistenced --no-persistence-mode" ;; '
            '*) printf "Id=nvidia-persistenced.service\\nLoadState=loaded\\nUnitFileState=\\n\\n" ;'
            'printf "Id=nvidia-fabricmanager.service\\nLoadState=loaded\\nActiveState=active\\n" ;; esac',
            "systemd-detect-virt": "echo none",
        },
    )
    assert (facts.smi, [gpu.persistent for gpu in facts.gpus]) == (0, [False])
    assert (facts.module, facts.licence, facts.signer) == ("580.95.05", "Dual MIT/GPL", "us")
    assert facts.secure_boot
    assert facts.persistence_refused
    assert facts.unit("nvidia-fabricmanager") == Unit("loaded", "active", "")
    assert facts.unit("nvidia-persistenced") == Unit("loaded", "", "")


def test_an_nvidia_smi_that_fails_is_quoted_with_its_status(tmp_path: Path) -> None:
    says = "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 580.173"
    facts = looked(tmp_path, {"nvidia-smi": f"echo '{says}'; exit 18"})
    assert (facts.smi, facts.smi_says, facts.gpus) == (18, says.replace("\n", " "), ())


def test_apt_is_not_asked_where_the_driver_works_and_by_who_only_judges(tmp_path: Path) -> None:
    """Its caches take a second to read, and nothing will be installed."""
    loaded = "580.95.05"
    script = read_script("look").replace("/sys/module/nvidia/version", str(tmp_path / "version"))
    assert str(tmp_path) in script
    (tmp_path / "version").write_text(f"{loaded}\n")
    (tmp_path / "nvidia-smi").write_text(f'#!/bin/sh\necho "0, A100, {loaded}, Enabled, 1, 0"\n')
    (tmp_path / "apt-cache").write_text('#!/bin/sh\necho "$1" >>"$0.asked"\n')
    for name in ("nvidia-smi", "apt-cache"):
        (tmp_path / name).chmod(0o755)

    def look(*names: str) -> None:
        environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
        subprocess.run(["sh", "-c", script, "crossover", *names], check=True, capture_output=True, env=environment)

    look("nvidia-open")
    look()
    assert not (tmp_path / "apt-cache.asked").exists()
    (tmp_path / "version").unlink()
    look("nvidia-open")
    assert (tmp_path / "apt-cache.asked").read_text().split() == ["policy", "madison"]
