"""A healthy machine passes, and each fault of a GPU node is found, with its evidence and what to do."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from images.bundle import PromisedGpus
from images.gpu.acceptance import examining, judging
from images.gpu.acceptance import kernel as kernel_log
from images.gpu.acceptance.evidence import parse
from images.gpu.acceptance.finding import Remedy
from images.gpu.acceptance.judging import judge
from images.gpu.actions import GIVE_BACK
from images.gpu.facts import Package
from tests.unit.images.gpu.examinations import Fault, captured, healthy
from tests.unit.images.gpu.situations import DEMAND, OFF

TOLD, REPAIR, REBOOT, BACK = Remedy.TOLD, Remedy.REPAIR, Remedy.REBOOT, Remedy.GIVE_BACK
XID_79 = "NVRM: Xid (PCI:0000:04:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus."
SXID = "nvidia-nvswitch0: SXid (PCI:0000:c1:00.0): {}"
_UNSET = "802 0"


def kernel(*lines: str) -> Fault:
    return lambda machine: machine.answers("kernel", *lines)


def xid(number: int) -> Fault:
    return kernel(f"NVRM: Xid (PCI:0000:04:00): {number}, pid=1234, name=python3, Ch 00000008")


# The columns of nvidia-smi's query: 0 index, 2 name, 3 driver, 4 persistence, 5 ECC, 6 uncorrected, 7 MIG, 8 state,
# 9 PCIe generation, 10 its most, 11 lanes, 12 their most.
FAULTS: dict[str, tuple[Fault, Remedy, str]] = {
    # of the kernel's log; by leptonai/gpud and Azure/azurehpc-health-checks, as xids.toml cites
    "Xid 79": (kernel(XID_79), BACK, f'GPU 3 fell off the bus (Xid 79: "{XID_79}")'),
    "Xid 79, short": (
        kernel("NVRM: Xid (PCI:0000:04:00): 79, GPU has fallen off the bus."),
        BACK,
        "GPU 3 fell off the bus",
    ),
    **{f"Xid {n}": (xid(n), REBOOT, f"(Xid {n}:") for n in (48, 64, 74, 92, 95, 119, 120, 140, 143)},
    "Xid 999": (xid(999), TOLD, "GPU 3 had Xid 999, which we do not know"),
    "Xid of a stranger": (
        kernel("NVRM: Xid (PCI:0000:ff:00): 79, GPU has fallen off the bus."),
        BACK,
        "the GPU at 0000:ff:00 fell off the bus",
    ),
    "fatal SXid": (kernel(SXID.format("20034, Fatal, Link 30 LTSSM Fault Up")), REBOOT, "NVSwitch at 0000:c1:00"),
    "SXid": (kernel(SXID.format("12028, Non-fatal, Link 32 egress non-posted PRIV error")), TOLD, "SXid 12028"),
    # of nvidia-smi's query
    "lost": (lambda m: m.column(6, "[GPU is lost]"), REBOOT, "GPU 3 is lost (nvidia-smi: [GPU is lost])"),
    "to be reset": (lambda m: m.column(5, "[GPU requires reset]"), REBOOT, "GPU 3 is lost"),
    "ECC off": (lambda m: m.column(5, "Disabled"), REPAIR, "GPU 3 has ECC off"),
    "ECC unknown": (lambda m: m.column(5, "[N/A]"), TOLD, "nvidia-smi does not tell ECC's mode of GPU 3"),
    "uncorrected": (lambda m: m.column(6, "2"), REBOOT, "GPU 3 has 2 uncorrected ECC errors"),
    "uncorrected unknown": (lambda m: m.column(6, "[Not Supported]"), TOLD, "ECC's uncorrected errors of GPU 3"),
    "MIG on": (lambda m: m.column(7, "Enabled"), REPAIR, "GPU 3 is divided (MIG)"),
    "MIG unknown": (lambda m: m.column(7, "[N/A]", None), TOLD, "MIG's mode of GPU 0, 1, 2, 3, 4, 5, 6, 7"),
    "persistence off": (lambda m: m.column(4, "Disabled"), TOLD, "GPU 3 has persistence off"),
    "few lanes": (lambda m: m.column(11, "8"), REBOOT, "GPU 3 uses 8 of its 16 PCIe lanes"),
    "old PCIe": (lambda m: m.column(10, "2"), BACK, "GPU 3 has PCIe 2"),
    "slow PCIe": (lambda m: m.column(9, "1"), TOLD, "GPU 3 uses PCIe 1 of 4"),
    "PCIe unknown": (lambda m: m.column(9, "[N/A]"), TOLD, "PCIe's generation and width of GPU 3"),
    "two models": (lambda m: m.column(2, "NVIDIA A100-SXM4-40GB"), BACK, "not alike, by models: NVIDIA A100-SXM4-40GB"),
    "two PCI ids": (lambda m: m.but(devices=("20b2",) * 7 + ("20b0",)), BACK, "not alike, by PCI ids: 20b0, 20b2"),
    "one missing": (
        lambda m: m.answers("gpu", *m.evidence.of("gpu").lines[:7]).answers("cuda", "0 7"),
        REBOOT,
        "8 GPUs are on its PCI bus, and 7 answer",
    ),
    "too few": (
        lambda m: m.but(devices=("20b2",) * 7).answers("gpu", *m.evidence.of("gpu").lines[:7]).answers("cuda", "0 7"),
        BACK,
        "7 GPUs answer, and 8 are needed",
    ),
    # of rows and clocks
    "row to remap": (lambda m: m.edited("rows", " 0, 0", " 1, 0", 3), REBOOT, "GPU 3 has a row of memory to remap"),
    "row in words": (lambda m: m.edited("rows", " 0, 0", " Yes, No", 3), REBOOT, "GPU 3 has a row of memory to remap"),
    "row lost": (lambda m: m.edited("rows", " 0, 0", " 0, 1", 3), BACK, "GPU 3 could not remap a row"),
    "rows unknown": (lambda m: m.edited("rows", " 0, 0", " [N/A], [N/A]", 3), TOLD, "remapped rows of GPU 3"),
    "hot": (lambda m: m.answers("throttle", "3, Active, Not Active, Not Active"), BACK, "GPU 3 is slowed down by the"),
    "brake": (lambda m: m.answers("throttle", "3, Not Active, Active, Not Active"), BACK, "power brake"),
    "warm": (lambda m: m.answers("throttle", "3, Not Active, Not Active, Active"), TOLD, "by the driver, for its heat"),
    "clocks unknown": (lambda m: m.answers("throttle", "3, [N/A], [N/A], [N/A]"), TOLD, "throttling of GPU 3"),
    # of versions
    "another library": (lambda m: m.but(library="580.173.02"), REBOOT, "its library 580.173.02"),
    "another module": (lambda m: m.but(module="580.126.16"), REBOOT, "the module on the disk 580.126.16"),
    "another fabric manager": (
        lambda m: m.but(packages=(Package("nvidia-fabricmanager", "580.95.05-1"),)),
        REBOOT,
        "its fabric manager 580.95.05",
    ),
    "fabric manager down": (
        lambda m: m.but(units={**m.facts.units, "nvidia-fabricmanager": OFF}),
        REPAIR,
        "nvidia-fabricmanager is inactive",
    ),
    # of links
    "one link": (lambda m: m.edited("links", "25.781 GB/s", "<inactive>", 4), REBOOT, "GPU 0 has 1 inactive NVLinks"),
    "all links": (
        lambda m: m.answers("links", "Unable to retrieve NVLink information as all links are inActive"),
        REBOOT,
        "all links are inActive",
    ),
    "NV11": (lambda m: m.edited("topology", "NV12", "NV11", 4), REBOOT, "not all connected by NV12: GPU 3-4 NV11"),
    "PCIe": (lambda m: m.edited("topology", "NV12", "SYS", None), REBOOT, "not all connected by NV12: GPU 0-1 SYS"),
    "no topology": (lambda m: m.answers("topology"), TOLD, "is not told by `nvidia-smi topo -m`"),
    "no links": (lambda m: m.answers("links"), TOLD, "nothing is told of its NVLinks"),
    "fabric": (lambda m: m.answers("fabric", "3, In Progress, N/A"), REPAIR, "GPU 3 has not joined the fabric"),
    "fabric failed": (lambda m: m.answers("fabric", "3, Completed, Unknown Error"), REPAIR, "has not joined"),
    # of CUDA
    "802": (lambda m: m.answers("cuda", _UNSET), REPAIR, "CUDA does not start: error 802 (system not yet initialized"),
    "CUDA": (lambda m: m.answers("cuda", "999 0"), REBOOT, "CUDA does not start: error 999"),
    "CUDA sees fewer": (lambda m: m.answers("cuda", "0 7"), REBOOT, "CUDA sees 7 GPUs, and nvidia-smi 8"),
    "no libcuda": (
        lambda m: m.answers("cuda", "OSError: libcuda.so.1: cannot open shared object file", status=1),
        REBOOT,
        'whether CUDA starts could not be found out (status 1: "OSError: libcuda.so.1',
    ),
    "no python3": (lambda m: m.answers("cuda", status=127), TOLD, "whether CUDA starts could not be found out"),
    "CUDA hangs": (lambda m: m.answers("cuda", status=124), REBOOT, "it did not answer in time"),
    # of questions
    "no handle": (
        lambda m: m.answers(
            "gpu", "Unable to determine the device handle for GPU0000:CB:00.0: Unknown Error", status=255
        ),
        REBOOT,
        "Unable to determine the device handle for GPU0000:CB:00.0",
    ),
    "nvidia-smi hangs": (lambda m: m.answers("gpu", status=124), REBOOT, "nvidia-smi's query could not be found out"),
    "log unknown": (lambda m: m.answers("kernel", status=77), TOLD, "the kernel's log could not be found out"),
}


@pytest.mark.parametrize("model", ["a100", "h100"])
def test_a_healthy_machine_has_no_finding(model: str) -> None:
    assert healthy(model).judged() == ()


def test_programs_that_fail_by_themselves_and_healed_memory_are_no_finding() -> None:
    lines = [f"NVRM: Xid (PCI:0000:04:00): {number}, pid=1, name=python3" for number in (13, 31, 43, 45, 63, 94)]
    assert kernel(*lines)(healthy()).judged() == ()


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_found_with_its_evidence_and_remedy(name: str) -> None:
    fault, remedy, words = FAULTS[name]
    found = fault(healthy()).judged()
    told = [finding for finding in found if words in finding.what]
    assert [finding.remedy for finding in told] == [remedy], found
    assert told[0].fails == (remedy is not TOLD)
    assert told[0].fails or not any(finding.fails for finding in found), found


@pytest.mark.parametrize("name", [name for name, (_, remedy, _) in FAULTS.items() if remedy is not TOLD])
def test_what_fails_in_a_container_is_given_back_for_nothing_can_be_mended_there(name: str) -> None:
    fault, _, _ = FAULTS[name]
    failing = [finding for finding in fault(healthy().but(container="docker")).judged() if finding.fails]
    seen_by_the_host = "Xid" in name or name in ("two PCI ids", "fabric manager down", "two models", "one missing")
    assert bool(failing) or seen_by_the_host
    assert all(finding.remedy is BACK and GIVE_BACK in str(finding) for finding in failing)


_PAIRS = [
    name for name in FAULTS if name in ("Xid 79", "ECC off", "row lost", "one link", "802", "fabric manager down")
]


@pytest.mark.parametrize(("one", "other"), list(pairwise(_PAIRS)))
def test_two_faults_are_both_found_and_what_fails_stands_first(one: str, other: str) -> None:
    machine = FAULTS[other][0](FAULTS[one][0](FAULTS["SXid"][0](healthy()) if one != "Xid 79" else healthy()))
    found = machine.judged()
    texts = " ".join(map(str, found))
    assert FAULTS[one][2] in texts
    assert FAULTS[other][2] in texts
    assert [finding.fails for finding in found] == sorted((finding.fails for finding in found), reverse=True)


def test_a_captured_lost_gpu_is_found_by_its_value() -> None:
    index, name, errors, persistence = captured("a100.gpu3-lost.query")[4].split(", ")
    assert (index, name, persistence) == ("3", "NVIDIA A100-SXM4-40GB", "Enabled")
    assert any("GPU 3 is lost" in finding.what for finding in healthy().column(6, errors).judged())


@pytest.mark.parametrize("links", ["SYS", "PIX", "NV4"])
def test_cards_without_a_board_need_no_nvlink(links: str) -> None:
    machine = healthy().column(2, "NVIDIA A100 80GB PCIe", None).but(switches=0).edited("topology", "NV12", links)
    assert not any(finding.fails for finding in machine.answers("links").judged())


def test_a_container_tells_its_hosts_log_and_is_not_judged_by_it() -> None:
    """It holds others' GPUs, and the time before."""
    found = kernel(XID_79)(healthy().but(container="docker")).judged()
    assert [(finding.remedy, "Xid 79" in finding.what) for finding in found] == [(TOLD, True)]


@pytest.mark.parametrize(("column", "value"), [(5, "Disabled"), (11, "8")])
def test_only_gpus_that_are_sold_so_must_have_ecc_and_all_lanes(column: int, value: str) -> None:
    """Recalled, not cited: an RTX A6000 comes with ECC off, and some clouds give a card half its lanes."""
    machine = healthy().column(2, "NVIDIA RTX A6000", None).but(switches=0).column(column, value, None)
    assert not any(finding.fails for finding in machine.judged())
    assert all(finding.fails for finding in healthy().column(column, value, None).judged())


def test_one_gpu_of_a_board_may_have_its_links_unused() -> None:
    machine = healthy("h100", 1).but(switches=0).answers("links", "GPU 0: NVIDIA H100", "\t Link 0: <inactive>")
    assert not any(f.fails for f in judge(machine.facts, machine.evidence, replace(DEMAND, count=1)))


def test_a_board_of_four_connects_each_pair_by_four_links() -> None:
    """HGX A100 4-GPU has no switches: a GPU's twelve links go to three others."""
    head, *rows = captured("a100.topo-m")[:5]
    four = healthy("a100", 4).but(switches=0).answers("topology", head, *rows).edited("topology", "NV12", "NV4")
    assert judge(four.facts, four.evidence, replace(DEMAND, count=4)) == ()


def test_the_scripts_answers_are_read_back() -> None:
    text = "ran\tgpu\t0\ngpu\t0, a\nran\tlinks\t124\nran\ttopology\t0\ntopology\t\tGPU0\tGPU1\nkernel\tlate\n"
    evidence = parse(text)
    assert evidence.of("gpu").rows == (("0", "a"),)
    assert evidence.of("links").status == 124
    assert evidence.of("topology").lines == ("\tGPU0\tGPU1",)
    assert evidence.of("cuda").status is None


def test_the_script_asks_what_the_judge_waits_for() -> None:
    """A question that the judge does not know would go unanswered in silence."""
    script = Path(examining.__file__).with_name("examine.sh").read_text()
    assert set(re.findall(r"^ask (\w+)", script, re.MULTILINE)) == set(judging._QUESTIONS)


def test_every_xid_has_one_meaning_and_a_remedy_that_there_is() -> None:
    table = kernel_log._xids()
    assert set(table) == {"give_back", "reboot", "ignored"}
    numbers = [number for meanings in table.values() for number in meanings]
    assert len(numbers) == len(set(numbers))
    assert all(number.isdecimal() for number in numbers)


@pytest.mark.parametrize(
    ("promised", "wrong"),
    [
        ((), False),
        ((PromisedGpus("A100 80GB", 8),), False),
        ((PromisedGpus("H100 80GB", 8), PromisedGpus("A100 80GB", 8)), False),
        ((PromisedGpus("A100 40GB", 8),), True),
        ((PromisedGpus("H100 80GB", 8),), True),
        ((PromisedGpus("A100 80GB", 4),), True),
    ],
)
def test_a_machine_is_what_it_was_rented_as(promised: tuple[PromisedGpus, ...], wrong: bool) -> None:
    machine = healthy()
    found = judge(machine.facts, machine.evidence, replace(DEMAND, promised=promised))
    assert [finding.remedy for finding in found] == ([Remedy.GIVE_BACK] if wrong else [])
    assert all("8 × NVIDIA A100-SXM4-80GB" in finding.what for finding in found)
