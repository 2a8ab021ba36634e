"""NVIDIA's packages as a GPU machine has them, without a GPU: names, versions and dependencies as in NVIDIA's archive
of branch 580, contents of our own. They are strict where a real driver is strict.

Stand-ins, in /usr/local/bin, /usr/sbin or in packages: modinfo, modprobe, dkms, mokutil, lsinitramfs,
update-initramfs, systemd-detect-virt, nvidia-smi, nvidia-persistenced, nv-fabricmanager. A "module" is a file with the
driver's version in /lib/modules/$(uname -r); one that is "loaded" is a folder below /sys/module. A unit at boot shows
the devices.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.support import smi
from tests.support.sandbox_bare import Repository, make_package
from tests.support.smi import examined

KERNEL = os.uname().release
GPUS, SWITCHES = 8, 6

_MODULE = f"/lib/modules/{KERNEL}/nvidia.version"
_SMI = """#!/bin/sh
# Stand-in: fails as the real one does (statuses 9 and 18), and knows this project's questions.
loaded=$(cat /sys/module/nvidia/version 2>/dev/null)
if [ -z "$loaded" ]; then
    echo "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."
    exit 9
elif [ "$loaded" != {version} ]; then
    echo "Failed to initialize NVML: Driver/library version mismatch"
    exit 18
fi
{examined}if [ "$1" = -pm ]; then touch /run/persistence; exit; fi
persistence=Disabled
[ ! -e /run/persistence ] || persistence=Enabled
for index in 0 1 2 3 4 5 6 7; do echo "$index, NVIDIA A100-SXM4-80GB, {version}, $persistence, 81920, 0"; done
"""
_FABRIC = """#!/bin/sh
# Stand-in: of exactly the driver's version, or not at all.
loaded=$(cat /sys/module/nvidia/version 2>/dev/null)
if [ "$loaded" != {version} ]; then
    echo "fabric manager NVIDIA GPU driver interface version {version} don't match with driver version $loaded"
    exit 1
fi
exec sleep infinity
"""
_PERSISTENCED = """#!/bin/sh
# Stand-in.
case " $* " in *' --no-persistence-mode '*) rm -f /run/persistence ;; *) touch /run/persistence ;; esac
exec sleep infinity
"""
_UNIT = "[Service]\nExecStart={command}\n[Install]\nWantedBy=multi-user.target\n"
_DKMS = f"""#!/bin/sh
# Stand-in: builds the module where the kernel's headers are, and says what the real one says where they are not.
[ -e /usr/src/nvidia.version ] || exit 0
if [ ! -e /lib/modules/{KERNEL}/build ]; then
    echo 'Error! Your kernel headers for kernel {KERNEL} cannot be found.'
    exit 1
fi
cp /usr/src/nvidia.version {_MODULE}
"""
_STANDINS = {
    "modinfo": f'[ "$1 $3" = "-F nvidia" ] || [ "$1" = nvidia ] || exit 1\n[ -e {_MODULE} ] || exit 1\n'
    f'case $2 in version) cat {_MODULE} ;; license) echo "Dual MIT/GPL" ;; signer) cat /etc/signer ;; esac',
    "modprobe": f'[ -e {_MODULE} ] || {{ echo "modprobe: FATAL: Module $1 not found" >&2; exit 1; }}\n'
    '[ ! -e /sys/module/nouveau ] || { echo "modprobe: ERROR: could not insert: No such device" >&2; exit 1; }\n'
    f"mkdir -p /sys/module/nvidia && cp {_MODULE} /sys/module/nvidia/version",
    "dkms": _DKMS.split("\n", 1)[1],
    "mokutil": "cat /etc/mokutil",
    "systemd-detect-virt": "echo none; exit 1",
    "lsinitramfs": "cat /etc/initramfs",
    "update-initramfs": ": >/etc/initramfs",
}
_BOOT = """#!/bin/sh
# What the kernel does at boot: devices are there, nouveau takes them unless it may not, and a driver is loaded.
mkdir -p /run/fake/pci /run/fake/module
for number in {gpus}; do
    mkdir /run/fake/pci/gpu$number
    echo 0x10de >/run/fake/pci/gpu$number/vendor; echo 0x20b2 >/run/fake/pci/gpu$number/device
    echo 0x030200 >/run/fake/pci/gpu$number/class
done
for number in {switches}; do
    mkdir /run/fake/pci/switch$number
    echo 0x10de >/run/fake/pci/switch$number/vendor; echo 0x1af1 >/run/fake/pci/switch$number/device
    echo 0x068000 >/run/fake/pci/switch$number/class
done
mount --bind /run/fake/pci /sys/bus/pci/devices
mount --bind /run/fake/module /sys/module
if [ -e /etc/nouveau ] &&
    { ! grep -qs '^blacklist nouveau' /etc/modprobe.d/* || grep -qs nouveau /etc/initramfs; }; then
    mkdir /sys/module/nouveau
else
    /usr/local/bin/modprobe nvidia 2>/dev/null
fi
exit 0
"""


REAL = ("modinfo", "modprobe", "dkms", "lsinitramfs", "update-initramfs")
"""Stand-ins that a machine with a real driver's packages does without."""


def machine_setup(without: Iterable[str] = ()) -> str:
    """A script for a bare machine with systemd: from then on it is one with eight GPUs and six NVSwitches; some of the
    stand-ins are left out."""
    files = _of_machine(without)
    lines = [f"cat >{path} <<'THE-END'\n{text}THE-END\nchmod 755 {path}" for path, text in files.items()]
    wants = "/etc/systemd/system/sandbox.target.wants"
    return "\n".join(
        (
            "set -e",
            "mkdir -p /usr/local/lib /lib/modules/$(uname -r) " + wants,
            # This computer's own kernels are none of the machine's.
            "rm -rf /boot/* /lib/modules/*/build /var/run/reboot-required",
            *lines,
            f"ln -s ../fake-gpus.service {wants}/",
            "systemctl daemon-reload",
            "systemctl start fake-gpus",
        )
    )


def machine_files() -> dict[str, tuple[str | bytes, int]]:
    """The same for `Sandboxes.files`: a machine that has its GPUs from its first boot, before anybody can log in."""
    found = {path[1:]: (text, 0o755) for path, text in _of_machine().items()}
    boot = found["usr/local/lib/fake-boot"][0].partition("\n")[2]
    once = "[ -e /var/lib/fake-boot ] || rm -rf /boot/* /lib/modules/*/build /var/run/reboot-required\n"
    found["usr/local/lib/fake-boot"] = (
        f"#!/bin/sh\n{once}mkdir -p /lib/modules/$(uname -r)\ntouch /var/lib/fake-boot\n{boot}", 0o755,
    )  # fmt: skip
    units = "etc/systemd/system"
    return {
        **found,
        f"{units}/sandbox.target.d/gpus.conf": ("[Unit]\nWants=fake-gpus.service\n", 0o644),
        f"{units}/ssh.service.d/gpus.conf": ("[Unit]\nWants=fake-gpus.service\nAfter=fake-gpus.service\n", 0o644),
        smi.LIBCUDA_AT: (smi.libcuda(), 0o644),
    }


def _of_machine(without: Iterable[str] = ()) -> dict[str, str]:
    """Files by path."""
    boot = _BOOT.replace("{gpus}", " ".join(map(str, range(GPUS)))).replace(
        "{switches}", " ".join(map(str, range(SWITCHES)))
    )
    unit = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/usr/local/lib/fake-boot\n"
    # apt's DPkg::Path has no /usr/local: what maintainers' scripts call is where Debian has it.
    places = {"dkms": "/usr/sbin"}
    files = {
        f"{places.get(name, '/usr/local/bin')}/{name}": f"#!/bin/sh\n# Stand-in.\n{text}\n"
        for name, text in _STANDINS.items()
        if name not in without
    }
    files |= {"/usr/local/lib/fake-boot": boot, "/etc/systemd/system/fake-gpus.service": unit}
    return files | {
        "/etc/mokutil": "SecureBoot disabled\n",
        "/etc/signer": "DKMS module signing key\n",
        "/etc/initramfs": "",
    }


@dataclass(frozen=True)
class Archive(Repository):
    """A folder of packages that says whose it is."""

    origin: str = "NVIDIA"

    def add(self, packages: Iterable[Path]) -> None:
        super().add(packages)
        release = self.folder / "Release"
        release.write_text(f"Origin: {self.origin}\nLabel: {self.origin} CUDA\n{release.read_text()}")


def headers(folder: Path) -> Path:
    """Of the kernel that runs; like Debian's, it has DKMS build what waits for them."""
    build = {f"lib/modules/{KERNEL}/build/Makefile": "# headers\n"}
    return make_package(folder, f"linux-headers-{KERNEL}", "1", files=build, postinst="dkms autoinstall")


def _smi(version: str) -> str:
    return _SMI.replace("{examined}", examined(version)).replace("{version}", version)


def driver(folder: Path, version: str, *, fabric: bool = True) -> list[Path]:
    """The packages of a driver of branch 580, and its fabric manager. Dependencies say "or newer", as NVIDIA's."""
    full = f"{version}-1"

    def depends(*names: str) -> str:
        return f"Depends: {', '.join(f'{name} (>= {full})' for name in names)}\n"

    def package(name: str, fields: str = "", postinst: str = "", **files: str) -> Path:
        return make_package(folder, name, full, fields=fields, postinst=postinst, files=files)

    smi, fabric_manager = _smi(version), _FABRIC.replace("{version}", version)
    persistenced = _UNIT.format(command="/usr/bin/nvidia-persistenced --user root --no-persistence-mode --verbose")
    made = [
        package("nvidia-open", depends("nvidia-driver-580-open")),
        package("nvidia-driver-580-open", depends("nvidia-dkms-580-open", "libnvidia-compute-580", "nvidia-utils-580")),
        # A failure without headers is none of the package's: DKMS waits for them.
        package("nvidia-dkms-580-open", "", "dkms autoinstall || true", **{"usr/src/nvidia.version": f"{version}\n"}),
        package("libnvidia-compute-580", "", "", **{"usr/lib/nvidia/compute": version}),
        package(
            "nvidia-utils-580",
            "",
            "",
            **{
                "usr/bin/nvidia-smi": smi,
                "usr/bin/nvidia-persistenced": _PERSISTENCED,
                "lib/systemd/system/nvidia-persistenced.service": persistenced,
            },
        ),
    ]
    if fabric:
        unit = _UNIT.format(command="/usr/bin/nv-fabricmanager")
        files = {"usr/bin/nv-fabricmanager": fabric_manager, "lib/systemd/system/nvidia-fabricmanager.service": unit}
        made.append(package("nvidia-fabricmanager", "Provides: nvidia-fabricmanager-580\n", "", **files))
    return made


def ubuntu_driver(folder: Path, version: str) -> list[Path]:
    """As in Ubuntu's archive: modules that are built already, one package for this kernel, and names of its own. Beside
    them a fabric manager that says 580 and is a transitional package of 595."""
    full = f"{version}-0ubuntu0.24.04.1"
    smi, fabric_manager = _smi(version), _FABRIC.replace("{version}", version)
    utils = {
        "usr/bin/nvidia-smi": smi,
        "usr/bin/nvidia-persistenced": _PERSISTENCED,
        "lib/systemd/system/nvidia-persistenced.service": _UNIT.format(command="/usr/bin/nvidia-persistenced"),
    }
    manager = {
        "usr/bin/nv-fabricmanager": fabric_manager,
        "lib/systemd/system/nvidia-fabricmanager.service": _UNIT.format(command="/usr/bin/nv-fabricmanager"),
    }
    modules = f"linux-modules-nvidia-580-server-open-{KERNEL}"
    return [
        make_package(folder, modules, "6.8.0-1021.23", files={_MODULE[1:]: f"{version}\n"}),
        make_package(folder, "nvidia-headless-no-dkms-580-server-open", full),
        make_package(folder, "nvidia-utils-580-server", full, files=utils),
        make_package(folder, "nvidia-fabricmanager-580", full, files=manager),
        make_package(folder, "nvidia-fabricmanager-580", "595.71.05-0ubuntu0.24.04.1", fields="Section: oldlibs\n"),
    ]


def keyring(folder: Path, url: str) -> Path:
    """The package that makes an archive known. The real one brings its key, too."""
    source = {"etc/apt/sources.list.d/cuda-debian12-x86_64.list": f"deb [trusted=yes] {url} ./\n"}
    return make_package(folder, "cuda-keyring", "1.1-1", files=source)
